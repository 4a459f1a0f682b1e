//! `chatloom status`.

use std::collections::BTreeMap;

use super::Exit;
use super::output::{self, tame_line};
use super::table::{Side, columns, hang, moment, span};
use crate::app::clock;
use crate::config::Config;
use crate::store::{
    Configured, SCHEMA_VERSION, SourceStatus, StatusReport, StoreError, StoreInfo, StreamStatus, open_reader, status,
};
use crate::sync::FeedCursor;

/// Width that notes and errors are broken at.
const WIDTH: usize = 100;

/// Options of `status`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Show only this source (may be given several times)
    #[arg(long, value_name = "NAME")]
    source: Vec<String>,
    /// Print the state as one JSON document
    #[arg(long)]
    json: bool,
}

/// Prints the state of every source. It is a report: that a source fails is no failure of the report.
pub(super) fn run(args: &Args, config: &Config) -> Exit {
    let mut report = match read(config) {
        Ok(report) => report,
        Err(error) => {
            output::complain(&error.to_string());
            return Exit::Failed;
        }
    };
    for name in &args.source {
        if !report.sources.iter().any(|source| source.name == *name) {
            let known: Vec<&str> = report.sources.iter().map(|source| source.name.as_str()).collect();
            output::complain(&format!("no source is called `{name}`; there are: {}", known.join(", ")));
            return Exit::Usage;
        }
    }
    report.sources.retain(|source| args.source.is_empty() || args.source.contains(&source.name));
    if args.json {
        output::print_json(&report);
    } else {
        output::print(&told(&report).join("\n"));
    }
    Exit::Fine
}

fn read(config: &Config) -> Result<StatusReport, StoreError> {
    let configured: Vec<Configured> = config
        .sources
        .iter()
        .map(|source| Configured {
            name: source.name.clone(),
            provider: source.kind().as_str(),
            enabled: source.enabled,
        })
        .collect();
    match open_reader(&config.store_path) {
        Ok(store) => status(&store, &config.store_path, &configured, clock()(), FeedCursor::shown),
        // Before the first pass there is no file: that is a state like any other.
        Err(StoreError::Missing { path }) => Ok(StatusReport {
            store: StoreInfo { path: path.display().to_string(), schema: SCHEMA_VERSION, size_bytes: 0 },
            sources: configured.iter().map(never).collect(),
        }),
        Err(error) => Err(error),
    }
}

fn never(source: &Configured) -> SourceStatus {
    SourceStatus {
        name: source.name.clone(),
        provider: source.provider.to_owned(),
        state: if source.enabled { "never" } else { "disabled" },
        last_success_at: None,
        lag_seconds: None,
        conversations: 0,
        messages: 0,
        incomplete: 0,
        incomplete_reasons: BTreeMap::new(),
        dead_letters: 0,
        error: None,
        streams: Vec::new(),
    }
}

/// The report for people: a table of sources, below each what went wrong and its streams, and a legend.
fn told(report: &StatusReport) -> Vec<String> {
    let store = &report.store;
    let mut lines = vec![match store.size_bytes {
        0 => format!("{}: not there yet; `chatloom sync` makes it", store.path),
        bytes => format!("{}: {}, schema {}", store.path, size(bytes), store.schema),
    }];
    lines.push(String::new());
    if report.sources.is_empty() {
        lines.push("No source is configured.".to_owned());
        return lines;
    }
    let header = ["SOURCE", "STATE", "LAST SUCCESS (UTC)", "CONVERSATIONS", "MESSAGES", "INCOMPLETE", "DEAD LETTERS"];
    let mut table = vec![header.map(str::to_owned).to_vec()];
    table.extend(report.sources.iter().map(row));
    let sides = [Side::Left, Side::Left, Side::Left, Side::Right, Side::Right, Side::Right, Side::Right];
    let mut table = columns(&sides, &table).into_iter();
    lines.extend(table.next());
    // One width for the streams of all sources, so that the eye can run down the page.
    let streams: Vec<Vec<String>> = report.sources.iter().flat_map(|source| &source.streams).map(stream).collect();
    let mut streams = columns(&[], &streams).into_iter();
    for (source, row) in report.sources.iter().zip(table) {
        lines.extend([row, format!("  {}", source.provider)]);
        if let Some(error) = &source.error {
            lines.extend(hang(&format!("error: {}", tame_line(error)), "  ", WIDTH));
        }
        if !source.incomplete_reasons.is_empty() {
            let reasons = source.incomplete_reasons.iter();
            let reasons: Vec<String> = reasons.map(|(reason, count)| format!("{count} {reason}")).collect();
            lines.extend(hang(&format!("incomplete: {}", tame_line(&reasons.join(", "))), "  ", WIDTH));
        }
        for (shown, line) in source.streams.iter().zip(&mut streams) {
            lines.push(format!("    {line}"));
            lines.extend(shown.note.iter().flat_map(|note| hang(&tame_line(note), "        ", WIDTH)));
        }
        lines.push(String::new());
    }
    lines.extend(legend(report));
    if lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

fn row(source: &SourceStatus) -> Vec<String> {
    let success = match (&source.last_success_at, source.lag_seconds) {
        (Some(at), Some(lag)) => format!("{}, {} ago", moment(at), span(lag)),
        (Some(at), None) => moment(at),
        (None, _) => "never".to_owned(),
    };
    let mut cells = vec![source.name.clone(), source.state.to_owned(), success];
    let numbers = [source.conversations, source.messages, source.incomplete, source.dead_letters];
    cells.extend(numbers.map(|number| number.to_string()));
    cells
}

fn stream(stream: &StreamStatus) -> Vec<String> {
    let name = if stream.scope.is_empty() { stream.name.clone() } else { format!("{} {}", stream.name, stream.scope) };
    let mut cells = vec![tame_line(&name), tame_line(&stream.method)];
    cells.extend(stream.watermark.as_deref().map(|mark| format!("up to {}", tame_line(&moment(mark)))));
    if stream.lookback_seconds > 0 {
        cells.push(format!("lookback {}", span(stream.lookback_seconds)));
    }
    if stream.hold_back_seconds > 0 {
        cells.push(format!("hold-back {}", span(stream.hold_back_seconds)));
    }
    cells
}

/// What words of this report mean, where they occur in it.
fn legend(report: &StatusReport) -> Vec<String> {
    let streams = || report.sources.iter().flat_map(|source| &source.streams);
    let method = |name: &str| streams().any(|stream| stream.method == name);
    let any = |number: fn(&SourceStatus) -> i64| report.sources.iter().any(|source| number(source) > 0);
    let words = [
        (
            any(|source| source.incomplete),
            "incomplete",
            "conversations that miss messages, or may (`incomplete_reason`)",
        ),
        (
            any(|source| source.dead_letters),
            "dead letters",
            "records that could not be read; kept in the table `dead_letters`",
        ),
        (streams().any(|stream| stream.watermark.is_some()), "up to", "everything up to this id or time is stored"),
        (streams().any(|stream| stream.lookback_seconds > 0), "lookback", "each pass begins again so long before that"),
        (
            streams().any(|stream| stream.hold_back_seconds > 0),
            "hold-back",
            "what is newer is stored too, but looked for again by the next pass",
        ),
        (method("keyset"), "keyset", "read onwards from the last id or time: nothing is missed"),
        (method("cursor"), "cursor", "read along the provider's own cursor, from start to end"),
        (method("window"), "window", "read in windows of time, each small enough to be whole"),
        (method("anchored"), "anchored", "read in overlapping pages from start to end"),
        (
            method("best_effort"),
            "best_effort",
            "read from start to end until it stands still: the provider offers nothing stronger",
        ),
    ];
    let words: Vec<Vec<String>> = words
        .into_iter()
        .filter(|(occurs, ..)| *occurs)
        .map(|(_, word, meaning)| vec![word.to_owned(), meaning.to_owned()])
        .collect();
    columns(&[], &words)
}

/// A size as a person says it.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    let mut tenths = bytes.saturating_mul(10) / 1000;
    let mut unit = UNITS[0];
    for larger in &UNITS[1..] {
        if tenths < 10_000 {
            break;
        }
        (tenths, unit) = (tenths / 1000, larger);
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(name: &str, enabled: bool) -> Configured {
        Configured { name: name.to_owned(), provider: "zaia", enabled }
    }

    fn stream(name: &str, method: &str) -> StreamStatus {
        StreamStatus {
            name: name.to_owned(),
            scope: String::new(),
            method: method.to_owned(),
            watermark: None,
            lookback_seconds: 0,
            hold_back_seconds: 0,
            note: None,
        }
    }

    fn report(sources: Vec<SourceStatus>, size_bytes: u64) -> StatusReport {
        StatusReport {
            store: StoreInfo { path: "chatloom.db".to_owned(), schema: SCHEMA_VERSION, size_bytes },
            sources,
        }
    }

    #[test]
    fn the_state_of_things_on_one_page() {
        let directory = SourceStatus {
            provider: "brilliant_directories".to_owned(),
            state: "ok",
            last_success_at: Some("2026-03-01T09:00:00.000Z".to_owned()),
            lag_seconds: Some(12),
            conversations: 10,
            messages: 1055,
            streams: vec![
                StreamStatus { watermark: Some("55".to_owned()), ..stream("messages", "keyset") },
                StreamStatus {
                    watermark: Some("2026-03-01T08:59:48.000Z".to_owned()),
                    lookback_seconds: 7200,
                    hold_back_seconds: 60,
                    ..stream("threads", "keyset")
                },
            ],
            ..never(&configured("directory", true))
        };
        let bots = SourceStatus {
            state: "failing",
            incomplete: 4,
            incomplete_reasons: BTreeMap::from([("forbidden".to_owned(), 3), ("limit".to_owned(), 1)]),
            error: Some("source bots: api/v0/chatbots: the provider refused the key (401); the v0 key is shown in the dashboard".to_owned()),
            streams: vec![StreamStatus {
                scope: "36162".to_owned(),
                note: Some("the page number is ignored".to_owned()),
                ..stream("threads", "best_effort")
            }],
            ..never(&configured("bots", true))
        };
        let expected = "\
chatloom.db: 2.7 MB, schema 3

SOURCE     STATE    LAST SUCCESS (UTC)             CONVERSATIONS  MESSAGES  INCOMPLETE  DEAD LETTERS
directory  ok       2026-03-01 09:00:00, 12 s ago             10      1055           0             0
  brilliant_directories
    messages       keyset       up to 55
    threads        keyset       up to 2026-03-01 08:59:48  lookback 2 h  hold-back 1 min

bots       failing  never                                      0         0           4             0
  zaia
  error: source bots: api/v0/chatbots: the provider refused the key (401); the v0 key is shown in
  the dashboard
  incomplete: 3 forbidden, 1 limit
    threads 36162  best_effort
        the page number is ignored

incomplete   conversations that miss messages, or may (`incomplete_reason`)
up to        everything up to this id or time is stored
lookback     each pass begins again so long before that
hold-back    what is newer is stored too, but looked for again by the next pass
keyset       read onwards from the last id or time: nothing is missed
best_effort  read from start to end until it stands still: the provider offers nothing stronger";
        assert_eq!(told(&report(vec![directory, bots], 2_732_032)).join("\n"), expected);
    }

    #[test]
    fn before_the_first_pass_there_is_little_to_tell() {
        let sources = vec![never(&configured("agents", true)), never(&configured("old", false))];
        let expected = "\
chatloom.db: not there yet; `chatloom sync` makes it

SOURCE  STATE     LAST SUCCESS (UTC)  CONVERSATIONS  MESSAGES  INCOMPLETE  DEAD LETTERS
agents  never     never                           0         0           0             0
  zaia

old     disabled  never                           0         0           0             0
  zaia";
        assert_eq!(told(&report(sources, 0)).join("\n"), expected);
        assert_eq!(told(&report(Vec::new(), 0)).last().unwrap(), "No source is configured.");
    }

    #[test]
    fn sizes_are_told_in_the_largest_unit() {
        let sizes = [0, 999, 4_096, 999_999, 1_000_000, 2_732_032, 1_234_567_890, u64::MAX].map(size);
        assert_eq!(sizes, ["0.0 kB", "0.9 kB", "4.0 kB", "999.9 kB", "1.0 MB", "2.7 MB", "1.2 GB", "1844674.4 TB"]);
    }
}
