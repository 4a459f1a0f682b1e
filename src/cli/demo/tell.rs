//! The demonstration's words.

use super::Outcome;
use super::found::{Found, Group};
use crate::app::SyncReport;
use crate::cli::show;
use crate::cli::table::{Side, columns, count, span};
use crate::store::RowCounts;

/// Messages of the excerpt.
const EXCERPT: usize = 10;

/// Questions to try next: what each tells, and its SQL.
pub(super) const QUERIES: [(&str, &str); 3] = [
    (
        "Who still waits for an answer, the latest first?",
        "SELECT source, contact, last_message_at FROM v_conversations WHERE NOT answered ORDER BY last_message_at DESC LIMIT 10",
    ),
    (
        "How much does each bot settle without a human?",
        "SELECT source, channel, count(*) AS conversations, round(100.0 * avg(contained)) AS contained_percent FROM v_conversations WHERE contained IS NOT NULL GROUP BY 1, 2",
    ),
    (
        "What did edited messages say before?",
        "SELECT r.body_text AS before, m.body_text AS now FROM message_revisions AS r JOIN messages AS m ON m.id = r.message_id",
    ),
];

/// Names of the passes, in their order.
const PASSES: [&str; 3] = ["first", "second", "full"];

const INTRODUCTION: [&str; 8] = [
    "Three simulated providers ran inside this process; nothing left this machine.",
    "",
    "  first    the whole history of sixty days",
    "  second   after people wrote, voted and deleted: what is new, with few requests",
    "  full     everything once more, as once a day: what no list of news tells, such as an old message edited",
    "",
    "What each pass did:",
    "",
];

/// All that is printed.
pub(super) fn story(outcome: &Outcome) -> String {
    let mut lines: Vec<String> = INTRODUCTION.iter().map(|line| (*line).to_owned()).collect();
    lines.extend(indented(passes(&outcome.passes)));
    lines.extend([String::new(), format!("{} now holds:", outcome.path), String::new()]);
    lines.extend(indented(groups(&outcome.found.groups)));
    lines.extend([
        String::new(),
        "First reply: the median time until a bot or a human answered. Bot alone: no human was needed.".to_owned(),
        "Escalated: a human was asked for, or took over. A directory of members has no bots.".to_owned(),
        String::new(),
        kept(&outcome.found),
    ]);
    lines.extend(excerpt(&outcome.found));
    lines.extend([String::new(), "Try next:".to_owned()]);
    let file = shell(&outcome.path);
    for (question, sql) in QUERIES {
        lines.extend([String::new(), format!("  # {question}"), format!("  sqlite3 -readonly -box {file} \"{sql}\"")]);
    }
    lines.extend([
        String::new(),
        "With accounts of your own: `chatloom init`, then `chatloom check`, then `chatloom sync`.".to_owned(),
    ]);
    lines.join("\n")
}

fn indented(lines: Vec<String>) -> impl Iterator<Item = String> {
    lines.into_iter().map(|line| format!("  {line}"))
}

/// The passes, source by source, one line above the other.
fn passes(passes: &[SyncReport]) -> Vec<String> {
    let mut lines = vec![header(&["SOURCE", "PASS", "REQUESTS", "CONVERSATIONS", "MESSAGES"])];
    for at in 0..passes.first().map_or(0, |pass| pass.sources.len()) {
        for (pass, name) in passes.iter().zip(PASSES) {
            let Some(source) = pass.sources.get(at) else { continue };
            let first = if name == PASSES[0] { source.name.clone() } else { String::new() };
            let (conversations, messages) = (rows(&source.conversations), rows(&source.messages));
            lines.push(vec![first, name.to_owned(), source.requests.to_string(), conversations, messages]);
        }
    }
    columns(&[Side::Left, Side::Left, Side::Right], &lines)
}

/// What was written; what stayed as it was is not worth a word.
fn rows(counts: &RowCounts) -> String {
    let told: Vec<String> = [(counts.inserted, "new"), (counts.updated, "changed"), (counts.deleted, "deleted")]
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{number} {what}"))
        .collect();
    if told.is_empty() { "-".to_owned() } else { told.join(", ") }
}

fn header(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn groups(groups: &[Group]) -> Vec<String> {
    let names = ["SOURCE", "CHANNEL", "CONVERSATIONS", "MESSAGES", "FIRST REPLY", "BOT ALONE", "ESCALATED"];
    let mut lines = vec![header(&names)];
    let told = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    lines.extend(groups.iter().map(|group| {
        vec![
            group.source.clone(),
            group.channel.clone().unwrap_or_else(|| "-".to_owned()),
            group.conversations.to_string(),
            group.messages.to_string(),
            group.first_response_seconds.map_or_else(|| "not told".to_owned(), took),
            told(group.contained),
            told(group.escalated),
        ]
    }));
    columns(&[Side::Left, Side::Left, Side::Right, Side::Right, Side::Right, Side::Right, Side::Right], &lines)
}

fn kept(found: &Found) -> String {
    format!(
        "Kept as well: {} of messages from before an edit, and {} with the time of deletion.",
        count(found.revisions, "version", "versions"),
        count(found.conversations_deleted, "deleted conversation", "deleted conversations")
    )
}

fn excerpt(found: &Found) -> Vec<String> {
    let Some((head, messages)) = &found.excerpt else { return Vec::new() };
    let mut lines = vec![
        String::new(),
        format!("One of them, from {} (`chatloom show` prints any of them):", head.source),
        String::new(),
    ];
    lines.extend(indented(
        messages.iter().take(EXCERPT).flat_map(|(message, beside)| show::block(message, beside, false)).collect(),
    ));
    if messages.len() > EXCERPT {
        lines.push("  ...".to_owned());
    }
    lines
}

fn took(seconds: f64) -> String {
    let milliseconds = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default().as_millis();
    span(i64::try_from(milliseconds.saturating_add(500) / 1000).unwrap_or(i64::MAX))
}

/// A word that a shell takes as it is.
fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if !word.is_empty() && !word.starts_with('-') && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::SourceReport;

    fn report(name: &str, requests: u64, messages: RowCounts) -> SourceReport {
        let conversations = RowCounts { inserted: 1, updated: 2, deleted: 3, ..RowCounts::default() };
        SourceReport { requests, conversations, messages, ..SourceReport::not_begun(name, "zaia", String::new()) }
    }

    #[test]
    fn passes_stand_one_above_the_other() {
        let many = RowCounts { inserted: 1200, unchanged: 7, ..RowCounts::default() };
        let pass = |requests, messages| SyncReport {
            sources: vec![report("agents", requests, messages), report("b", requests, RowCounts::default())],
        };
        assert_eq!(
            passes(&[pass(174, many), pass(9, RowCounts::default())]),
            [
                "SOURCE  PASS    REQUESTS  CONVERSATIONS                MESSAGES",
                "agents  first        174  1 new, 2 changed, 3 deleted  1200 new",
                "        second         9  1 new, 2 changed, 3 deleted  -",
                "b       first        174  1 new, 2 changed, 3 deleted  -",
                "        second         9  1 new, 2 changed, 3 deleted  -",
            ]
        );
    }

    #[test]
    fn what_a_provider_does_not_have_is_a_dash() {
        let group = Group {
            source: "directory".to_owned(),
            channel: None,
            conversations: 116,
            messages: 882,
            first_response_seconds: Some(10_260.4),
            contained: None,
            escalated: None,
        };
        let bots = Group {
            channel: Some("widget".to_owned()),
            first_response_seconds: None,
            contained: Some(9),
            ..group.clone()
        };
        assert_eq!(
            groups(&[group, bots]),
            [
                "SOURCE     CHANNEL  CONVERSATIONS  MESSAGES  FIRST REPLY  BOT ALONE  ESCALATED",
                "directory  -                  116       882   2 h 51 min          -          -",
                "directory  widget             116       882     not told          9          -",
            ]
        );
    }

    #[test]
    fn a_path_can_be_pasted_into_a_shell() {
        assert_eq!(shell("demo/chatloom-demo.db"), "demo/chatloom-demo.db");
        assert_eq!(shell("my demo's.db"), "'my demo'\\''s.db'");
        assert_eq!(shell("-x"), "'-x'");
        assert_eq!(shell(""), "''");
    }
}
