//! `chatloom verify`.

use crate::app::{SourceGaps, VerifyReport, verify};
use crate::config::Config;
use crate::store::Gap;

use super::output::{self, tame_line};
use super::signals::Signals;
use super::table::{Side, columns, count, hang};
use super::{Exit, logging, progress};

/// Width that errors are broken at.
const WIDTH: usize = 100;
/// Gaps of one source that are shown; the JSON document has all of them.
const SHOWN: usize = 20;

/// Options of `verify`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only this source (may be given several times)
    #[arg(long, value_name = "NAME")]
    source: Vec<String>,
    /// Ask no provider: only what the file itself knows
    #[arg(long)]
    pub(super) offline: bool,
    /// Print the result as one JSON document
    #[arg(long)]
    json: bool,
}

/// Checks the file and every source's counts.
pub(super) async fn run(args: Args, config: &Config) -> Exit {
    logging::start_quietly();
    let signals = Signals::listen();
    let spinner = progress::spinner("verifying".to_owned());
    let outcome = verify(&config.store_path, &config.sources, &args.source, args.offline, &signals.cancel).await;
    spinner.finish_and_clear();
    if let Some(number) = signals.received() {
        return Exit::Signal(number);
    }
    let report = match outcome {
        Ok(report) => report,
        Err(error) => {
            output::complain(&error.to_string());
            return Exit::Failed;
        }
    };
    if let Some(name) = args.source.iter().find(|name| !report.sources.iter().any(|source| source.name == **name))
        && report.integrity == "ok"
    {
        output::complain(&format!("no source is called `{name}`, neither in the configuration nor in the store"));
        return Exit::Usage;
    }
    if args.json {
        output::print_json(&report);
    } else {
        output::print(&told(&report).join("\n"));
    }
    if report.ok { Exit::Fine } else { Exit::Failed }
}

/// The report for people.
fn told(report: &VerifyReport) -> Vec<String> {
    let mut lines = match report.integrity.as_str() {
        "ok" => vec!["The file is sound.".to_owned()],
        problems => {
            let mut lines = vec!["The file is damaged:".to_owned()];
            lines.extend(hang(&tame_line(problems), "  ", WIDTH));
            lines.push(
                "Keep it, and restore a copy; what is missing from that, `chatloom sync` brings again.".to_owned(),
            );
            lines
        }
    };
    if report.search != "ok" {
        lines.push(
            "The full-text index is not in step with the messages; `chatloom search rebuild` makes it anew:".to_owned(),
        );
        lines.extend(hang(&tame_line(&report.search), "  ", WIDTH));
    }
    for source in &report.sources {
        lines.push(String::new());
        lines.extend(one(source));
    }
    let gaps: Vec<&Gap> = report.sources.iter().flat_map(|source| &source.gaps).collect();
    let meanings: Vec<Vec<String>> = MEANINGS
        .iter()
        .filter(|(reason, _)| gaps.iter().any(|gap| gap.reason == *reason))
        .map(|(reason, meaning)| vec![(*reason).to_owned(), (*meaning).to_owned()])
        .collect();
    if !meanings.is_empty() {
        lines.push(String::new());
        lines.extend(columns(&[], &meanings));
    }
    lines
}

fn one(source: &SourceGaps) -> Vec<String> {
    let mut lines = Vec::new();
    let number = i64::try_from(source.gaps.len()).unwrap_or(i64::MAX);
    lines.push(match number {
        0 if source.error.is_some() || source.not_asked.is_some() => format!("{}: no gap known", source.name),
        0 => format!("{}: no gap", source.name),
        _ => format!("{}: {}", source.name, count(number, "gap", "gaps")),
    });
    if let Some(error) = &source.error {
        lines.extend(hang(&format!("the provider's counts are not known: {}", tame_line(error)), "  ", WIDTH));
    }
    if let Some(why) = source.not_asked {
        let why = if why == "disabled" { "the source is disabled" } else { "the configuration has no such source" };
        lines.push(format!("  the provider was not asked: {why}"));
    }
    if source.gaps.is_empty() {
        return lines;
    }
    let mut table = vec![["  WHERE", "HAVE", "PROVIDER", "REASON"].map(str::to_owned).to_vec()];
    table.extend(source.gaps.iter().take(SHOWN).map(|gap| {
        let place = match (&gap.conversation, &gap.stream) {
            (Some(conversation), _) => tame_line(conversation),
            (None, Some(stream)) => format!("all {}", tame_line(stream)),
            (None, None) => "the source".to_owned(),
        };
        let provider = gap.provider.map_or_else(|| "-".to_owned(), |count| count.to_string());
        vec![format!("  {place}"), gap.have.to_string(), provider, tame_line(&gap.reason)]
    }));
    lines.extend(columns(&[Side::Left, Side::Right, Side::Right], &table));
    if source.gaps.len() > SHOWN {
        lines.push(format!("  and {} more (--json lists all)", source.gaps.len() - SHOWN));
    }
    lines
}

/// What the reasons mean, and what to do.
const MEANINGS: [(&str, &str); 10] = [
    ("first_pass", "no pass reached the end of every list yet: run `chatloom sync`"),
    ("not_fetched", "its messages are still to be fetched: run `chatloom sync`"),
    ("forbidden", "the key may not read it at present; what is stored stays"),
    ("limit", "the provider shows no more of a conversation this long"),
    ("count", "the provider counts otherwise: `chatloom sync` brings what is new, `sync --full` finds deletions"),
    ("behind", "the provider's list told of a message that its conversation did not show"),
    ("unread", "the list that brings its messages was not read to its end: run `chatloom sync`"),
    ("dead_letter", "a message of it cannot be read: see `dead_letters`, and `chatloom retry`"),
    ("short", "the provider left out one whole end of it; what is stored stays"),
    ("unknown", "no reason was kept"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(conversation: Option<&str>, stream: Option<&str>, provider: Option<i64>, reason: &str) -> Gap {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Gap { conversation: owned(conversation), stream: owned(stream), have: 7, provider, reason: reason.to_owned() }
    }

    #[test]
    fn gaps_are_named_one_by_one_and_explained() {
        let report = VerifyReport {
            ok: false,
            integrity: "ok".to_owned(),
            search: "ok".to_owned(),
            sources: vec![
                SourceGaps { name: "agents".to_owned(), gaps: Vec::new(), error: None, not_asked: None },
                SourceGaps {
                    name: "directory".to_owned(),
                    gaps: vec![
                        gap(Some("a\u{1b}[2J"), None, None, "limit"),
                        gap(None, Some("messages"), Some(1200), "count"),
                    ],
                    error: None,
                    not_asked: None,
                },
                SourceGaps {
                    name: "bots".to_owned(),
                    gaps: Vec::new(),
                    error: Some("not found".to_owned()),
                    not_asked: None,
                },
            ],
        };
        let expected = "\
The file is sound.

agents: no gap

directory: 2 gaps
  WHERE         HAVE  PROVIDER  REASON
  a\u{fffd}[2J            7         -  limit
  all messages     7      1200  count

bots: no gap known
  the provider's counts are not known: not found

limit  the provider shows no more of a conversation this long
count  the provider counts otherwise: `chatloom sync` brings what is new, `sync --full` finds deletions";
        assert_eq!(told(&report).join("\n"), expected);
    }

    #[test]
    fn a_damaged_file_is_described() {
        let report = VerifyReport {
            ok: false,
            integrity: "Page 4 is never used".to_owned(),
            search: "ok".to_owned(),
            sources: Vec::new(),
        };
        let told = told(&report).join("\n");
        assert!(told.starts_with("The file is damaged:\n  Page 4 is never used\n"), "{told}");
    }

    #[test]
    fn many_gaps_are_cut_short() {
        let gaps = (0..25).map(|n| gap(Some(&n.to_string()), None, None, "limit")).collect();
        let lines = one(&SourceGaps { name: "agents".to_owned(), gaps, error: None, not_asked: None });
        assert_eq!(lines.len(), 1 + 1 + SHOWN + 1);
        assert!(lines.last().unwrap().contains("5 more"));
    }
}
