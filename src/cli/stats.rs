//! `chatloom stats`.

use super::output::{self, tame_line};
use super::table::{Side, columns, moment};
use super::{Exit, reporting};
use crate::app::day;
use crate::config::Config;
use crate::store::{Overview, open_reader, overview};

/// Options of `stats`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Count only what began on this day or later (2026-03-01, UTC)
    #[arg(long, value_name = "DATE", value_parser = since_day)]
    since: Option<String>,
    /// Print it as one JSON document
    #[arg(long)]
    json: bool,
}

fn since_day(text: &str) -> Result<String, String> {
    day(text).map(|day| day.to_string()).ok_or_else(|| "not a day such as 2026-03-01".to_owned())
}

/// Prints the support metrics.
pub(super) fn run(args: &Args, config: &Config) -> Exit {
    let read = open_reader(&config.store_path).and_then(|store| overview(&store, args.since.as_deref()));
    match read {
        Ok(figures) => {
            reporting::tell_if_behind(config, &figures.timezone);
            match args.json {
                true => output::print_json(&figures),
                false => output::print(&page(&figures).join("\n")),
            }
        }
        Err(error) => {
            output::complain(&tame_line(&error.to_string()));
            return Exit::Failed;
        }
    }
    Exit::Fine
}

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

fn page(figures: &Overview) -> Vec<String> {
    let mut lines = section(
        "Conversations",
        &["source", "channel", "conversations", "contact", "bot", "agent", "contained", "escalated", "unanswered"],
        2,
        figures.sources.iter().map(|row| {
            vec![
                tame_line(&row.source),
                shown(row.channel.as_deref()),
                row.conversations.to_string(),
                row.contact_messages.to_string(),
                row.bot_messages.to_string(),
                row.agent_messages.to_string(),
                share(row.contained, row.conversations),
                share(row.escalated, row.conversations),
                row.unanswered.to_string(),
            ]
        }),
    );
    lines.extend(section(
        "Time to a reply (turns answered, of which the time is known)",
        &["source", "channel", "by", "n", "median", "90th percentile"],
        3,
        figures.responses.iter().map(|row| {
            vec![
                tame_line(&row.source),
                shown(row.channel.as_deref()),
                row.by.clone().unwrap_or_else(|| "anybody".to_owned()),
                row.n.to_string(),
                took(row.median_seconds),
                took(row.p90_seconds),
            ]
        }),
    ));
    lines.extend(section(
        "Latest days (UTC, by the first message of a contact)",
        &["day", "conversations", "contact messages", "unanswered"],
        1,
        figures.days.iter().map(|row| {
            vec![
                row.day.clone(),
                row.conversations.to_string(),
                row.contact_messages.to_string(),
                row.unanswered.to_string(),
            ]
        }),
    ));
    lines.extend(section(
        &format!("Busiest hours{} ({})", figures.since.as_ref().map_or("", |_| " of all time"), figures.timezone),
        &["weekday", "hour", "conversations", "contact messages"],
        1,
        figures.hours.iter().map(|row| {
            let weekday = usize::try_from(row.weekday).ok().and_then(|day| DAYS.get(day)).unwrap_or(&"?");
            vec![
                (*weekday).to_owned(),
                format!("{:02}:00", row.hour),
                row.conversations.to_string(),
                row.contact_messages.to_string(),
            ]
        }),
    ));
    lines.extend(section(
        "Waiting for an answer, longest first",
        &["since (UTC)", "source", "conversation", "contact"],
        4,
        figures.waiting.iter().map(|row| {
            vec![
                moment(&row.waiting_since),
                tame_line(&row.source),
                tame_line(&row.conversation_external_id),
                shown(row.contact.as_deref()),
            ]
        }),
    ));
    lines
}

/// A title, and a table whose columns from `numbers` on stand right.
fn section(title: &str, heads: &[&str], numbers: usize, rows: impl Iterator<Item = Vec<String>>) -> Vec<String> {
    let mut table: Vec<Vec<String>> = vec![heads.iter().map(|head| (*head).to_owned()).collect()];
    table.extend(rows);
    let sides: Vec<Side> = (0..heads.len()).map(|at| if at < numbers { Side::Left } else { Side::Right }).collect();
    let mut lines = vec![title.to_owned()];
    if table.len() == 1 {
        lines.push("  none".to_owned());
    } else {
        lines.extend(columns(&sides, &table).into_iter().map(|line| format!("  {line}")));
    }
    lines.push(String::new());
    lines
}

fn shown(text: Option<&str>) -> String {
    text.map_or_else(|| "-".to_owned(), tame_line)
}

/// A count with its share, `-` where it does not apply.
fn share(part: Option<i64>, of: i64) -> String {
    match part {
        Some(part) if of > 0 => format!("{part} ({}%)", (part * 100 + of / 2) / of),
        Some(part) => part.to_string(),
        None => "-".to_owned(),
    }
}

/// Seconds as people say them.
fn took(seconds: f64) -> String {
    if seconds < 100.0 {
        return format!("{seconds:.1} s");
    }
    let minutes = seconds / 60.0;
    if minutes < 100.0 { format!("{minutes:.1} min") } else { format!("{:.1} h", minutes / 60.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_shares_are_said_as_people_say_them() {
        assert_eq!([4.25, 99.0, 240.0, 7_200.0].map(took), ["4.2 s", "99.0 s", "4.0 min", "2.0 h"]);
        assert_eq!(
            [share(Some(1), 3), share(Some(0), 0), share(None, 5)],
            ["1 (33%)".to_owned(), "0".to_owned(), "-".to_owned()]
        );
    }

    #[test]
    fn days_are_dates() {
        assert_eq!(since_day("2026-03-01").unwrap(), "2026-03-01");
        for other in ["yesterday", "2026-13-01", "'; DROP"] {
            since_day(other).unwrap_err();
        }
    }
}
