//! `chatloom search`.

use std::io::IsTerminal as _;

use super::output::{self, tame_line};
use super::table::{count, hang, moment};
use super::{Exit, logging};
use crate::app::{clock, rebuild_search};
use crate::config::{self, Config};
use crate::search::{Asked, Query, Results, find};
use crate::store::{Hit, Piece};

/// Width that texts are broken at.
const WIDTH: usize = 100;

/// Options of `search`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Words, "phrases", beginnings*, from:NAME, source:NAME, channel:NAME, after:DAY, before:DAY, has:negative; the one word
    /// `rebuild` builds the index anew (in quotes it is looked for)
    #[arg(value_name = "QUERY", required = true)]
    query: Vec<String>,
    /// How many messages are shown
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// The newest first, instead of what fits best
    #[arg(long)]
    newest: bool,
    /// Show deleted messages, too
    #[arg(long)]
    deleted: bool,
    /// Print the result as one JSON document
    #[arg(long)]
    json: bool,
}

/// Looks for messages, or builds the index anew.
pub(super) async fn run(args: &Args, config: &Config) -> Exit {
    // No subcommand: those who look for `rebuild index` mean words.
    if args.query == ["rebuild"] {
        return rebuild(args.json, config).await;
    }
    let query = Query::parse(&args.query.join(" "));
    let asked = Asked { query, newest: args.newest, deleted: args.deleted, limit: args.limit };
    let results = match find(&config.store_path, asked) {
        Ok(results) => results,
        Err(error) => {
            output::complain(&tame_line(&error.to_string()));
            return Exit::Failed;
        }
    };
    for note in &results.notes {
        output::complain(&tame_line(note));
    }
    if !results.exact {
        output::complain(
            "the index is behind, and messages may be missing: the next sync catches up, or `chatloom search rebuild`",
        );
    }
    if args.json {
        output::print_json(&results);
    } else {
        let bold = std::io::stdout().is_terminal() && !config::no_color();
        output::print(&told(&results, bold).join("\n"));
    }
    Exit::Fine
}

/// The document of `search rebuild --json`.
#[derive(Debug, serde::Serialize)]
struct Rebuilt {
    /// How many the index was built from.
    messages: u64,
}

async fn rebuild(json: bool, config: &Config) -> Exit {
    logging::start_quietly();
    match rebuild_search(&config.store_path, &clock()).await {
        Ok(messages) if json => {
            output::print_json(&Rebuilt { messages });
            Exit::Fine
        }
        Ok(messages) => {
            let messages = count(i64::try_from(messages).unwrap_or(i64::MAX), "message", "messages");
            output::print(&format!("The index was built anew from {messages}."));
            Exit::Fine
        }
        Err(error) => {
            output::complain(&error.to_string());
            Exit::Failed
        }
    }
}

/// The results for people: for each message a line about it, and what was found.
fn told(results: &Results, bold: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for hit in &results.hits {
        lines.extend(one(hit, bold));
        lines.push(String::new());
    }
    let shown = count(i64::try_from(results.hits.len()).unwrap_or(i64::MAX), "message", "messages");
    lines.push(match (results.hits.is_empty(), results.more) {
        (true, _) => "Nothing was found.".to_owned(),
        (false, false) => format!("{shown}; `chatloom show ROW` prints a conversation."),
        (false, true) => format!("The first {shown}; --limit shows more, `chatloom show ROW` prints a conversation."),
    });
    lines
}

fn one(hit: &Hit, bold: bool) -> Vec<String> {
    let at = hit.sent_at.as_deref().map_or_else(|| "(time unknown)     ".to_owned(), moment);
    let author = hit.author.as_deref().map_or(String::new(), |name| format!(" {}", tame_line(name)));
    let mut marks = String::new();
    if hit.reaction != 0 {
        marks = format!("  [{:+}]", hit.reaction);
    }
    if hit.deleted_at.is_some() {
        marks.push_str("  [deleted]");
    }
    let conversation = format!("{} (row {})", tame_line(&hit.conversation_external_id), hit.conversation_id);
    let head = format!("{at}  {}{author}  in {}: {conversation}{marks}", hit.author_kind, tame_line(&hit.source));
    let (on, off) = if bold { ("\u{1b}[1m", "\u{1b}[22m") } else { ("[", "]") };
    let mut text = String::new();
    for Piece { text: piece, found } in &hit.snippet {
        let piece = tame_line(piece);
        match found {
            true => text.extend([on, &piece, off]),
            false => text.push_str(&piece),
        }
    }
    let mut lines = vec![head];
    lines.extend(hang(&text, "    ", WIDTH));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::Order;

    fn hit() -> Hit {
        let piece = |text: &str, found| Piece { text: text.to_owned(), found };
        Hit {
            source: "agents".to_owned(),
            provider: "zaia".to_owned(),
            channel: Some("whatsapp".to_owned()),
            conversation_id: 12,
            conversation_external_id: "c-1".to_owned(),
            message_id: 40,
            message_external_id: "m-1".to_owned(),
            sent_at: Some("2026-03-01T09:00:05.120Z".to_owned()),
            author_kind: "contact".to_owned(),
            author: Some("Ada Quill".to_owned()),
            reaction: -1,
            deleted_at: None,
            snippet: vec![piece("…my ", false), piece("mo\u{1b}ney", true), piece(" back\n", false)],
        }
    }

    #[test]
    fn a_hit_is_a_line_about_it_and_what_was_found() {
        let results = Results { order: Order::Best, more: true, exact: true, notes: Vec::new(), hits: vec![hit()] };
        let expected = [
            "2026-03-01 09:00:05  contact Ada Quill  in agents: c-1 (row 12)  [-1]",
            "    …my [mo\u{fffd}ney] back",
            "",
            "The first 1 message; --limit shows more, `chatloom show ROW` prints a conversation.",
        ];
        assert_eq!(told(&results, false), expected);
        assert_eq!(told(&results, true)[1], "    …my \u{1b}[1mmo\u{fffd}ney\u{1b}[22m back");
        let nothing = Results { hits: Vec::new(), more: false, ..results };
        assert_eq!(told(&nothing, false), ["Nothing was found."]);
    }
}
