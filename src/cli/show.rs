//! `chatloom show`.

use std::io::IsTerminal as _;

use serde::Serialize;

use super::Exit;
use super::output::{self, tame, tame_line};
use super::table::{Side, columns, count, moment};
use crate::config::{self, Config};
use crate::store::{Beside, ConversationHead, Line, TranscriptError, find_conversation, open_reader, transcript};

/// Options of `show`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The provider's id of the conversation, or its row id in the store (`conversation_external_id` and
    /// `conversation_id` in the view `v_conversations`)
    #[arg(value_name = "CONVERSATION")]
    conversation: String,
    /// Print it as one JSON document
    #[arg(long)]
    json: bool,
}

/// The document of `show --json`.
#[derive(Debug, Serialize)]
struct Transcript {
    conversation: ConversationHead,
    messages: Vec<Said>,
}

/// A message with what stands beside it.
#[derive(Debug, Serialize)]
struct Said {
    #[serde(flatten)]
    line: Line,
    attachments: Vec<Attachment>,
    /// What it said before, the oldest first.
    revisions: Vec<Earlier>,
}

#[derive(Debug, Serialize)]
struct Attachment {
    kind: String,
    url: Option<String>,
    name: Option<String>,
}

#[derive(Debug, Serialize)]
struct Earlier {
    body_text: String,
    /// When it was found changed.
    observed_at: Option<String>,
}

impl From<(Line, Beside)> for Said {
    fn from((line, beside): (Line, Beside)) -> Self {
        let attachments = beside.attachments.into_iter().map(|(kind, url, name)| Attachment { kind, url, name });
        let revisions = beside.revisions.into_iter().map(|(body_text, observed_at)| Earlier { body_text, observed_at });
        Self { line, attachments: attachments.collect(), revisions: revisions.collect() }
    }
}

/// Prints one conversation.
pub(super) fn run(args: &Args, config: &Config) -> Exit {
    let read = || -> Result<(ConversationHead, Vec<(Line, Beside)>), TranscriptError> {
        let store = open_reader(&config.store_path)?;
        let conversation = find_conversation(&store, &args.conversation)?;
        let messages = transcript(&store, conversation.id)?;
        Ok((conversation, messages))
    };
    match read() {
        Ok((conversation, messages)) if args.json => {
            let messages = messages.into_iter().map(Said::from).collect();
            output::print_json(&Transcript { conversation, messages });
        }
        Ok((conversation, messages)) => {
            let dim = std::io::stdout().is_terminal() && !config::no_color();
            let mut lines = head(&conversation, messages.len());
            for (message, beside) in &messages {
                lines.push(String::new());
                lines.extend(block(message, beside, dim));
            }
            output::print(&lines.join("\n"));
        }
        Err(error) => {
            output::complain(&tame_line(&error.to_string()));
            return Exit::Failed;
        }
    }
    Exit::Fine
}

/// What stands above the messages.
pub(super) fn head(conversation: &ConversationHead, messages: usize) -> Vec<String> {
    let mut lines: Vec<Vec<String>> = Vec::new();
    let mut tell = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            lines.push(vec![name.to_owned(), tame_line(value)]);
        }
    };
    tell("conversation", Some(&format!("{} (row {})", conversation.external_id, conversation.id)));
    tell("source", Some(&format!("{} ({})", conversation.source, conversation.provider)));
    tell("channel", conversation.channel.as_deref());
    tell("contact", conversation.contact.as_deref());
    tell("title", conversation.title.as_deref());
    tell("status", Some(&conversation.status));
    tell("started", conversation.started_at.as_deref().map(utc).as_deref());
    tell("deleted", conversation.deleted_at.as_deref().map(utc).as_deref());
    let held = count(i64::try_from(messages).unwrap_or(i64::MAX), "message", "messages");
    let complete = match (conversation.complete, conversation.incomplete_reason.as_deref()) {
        (true, _) => "complete".to_owned(),
        (false, Some(reason)) => format!("there may be more at the provider ({reason})"),
        (false, None) => "there may be more at the provider".to_owned(),
    };
    tell("holds", Some(&format!("{held}, {complete}")));
    columns(&[Side::Left, Side::Left], &lines)
}

/// One message: a line about it, and its text behind an indent. Events are one line.
pub(super) fn block(message: &Line, beside: &Beside, dim: bool) -> Vec<String> {
    let at = message.sent_at.as_deref().map_or_else(|| "(time unknown)     ".to_owned(), moment);
    if message.kind == "event" {
        let named = [message.event.as_deref(), Some(message.body_text.as_str())];
        let told: Vec<String> =
            named.into_iter().flatten().map(tame_line).filter(|text| !text.trim().is_empty()).collect();
        let line = format!("{at}  -- {} --", if told.is_empty() { "event".to_owned() } else { told.join(": ") });
        return vec![if dim { format!("\u{1b}[2m{line}\u{1b}[22m") } else { line }];
    }
    let author = message.author.as_deref().map_or(String::new(), |name| format!(" {}", tame_line(name)));
    let mut marks = Vec::new();
    if message.reaction != 0 {
        marks.push(format!("[{:+}]", message.reaction));
    }
    if let Some(edited) = &message.edited_at {
        marks.push(format!("[edited {}]", moment(edited)));
    }
    if let Some(deleted) = &message.deleted_at {
        marks.push(format!("[deleted {}]", moment(deleted)));
    }
    let mut lines = vec![format!("{at}  {}{author}  {}", message.author_kind, marks.join(" ")).trim_end().to_owned()];
    lines.extend(tame(&message.body_text).lines().map(|line| format!("    {line}").trim_end().to_owned()));
    if message.body_text.trim().is_empty() {
        lines.push(format!("    ({})", if message.erased_at.is_some() { "the text was erased" } else { "no text" }));
    }
    if !beside.citations.is_empty() {
        lines.push("    sources:".to_owned());
        lines.extend(
            beside.citations.iter().map(|(url, title)| format!("      - {}", named(title.as_deref(), url.as_deref()))),
        );
    }
    if !beside.attachments.is_empty() {
        lines.push("    attached at the provider:".to_owned());
        let one = |(kind, url, name): &(String, Option<String>, Option<String>)| {
            format!("      - {}: {}", tame_line(kind), named(name.as_deref(), url.as_deref()))
        };
        lines.extend(beside.attachments.iter().map(one));
    }
    for (text, until) in &beside.revisions {
        let until = until.as_deref().map_or_else(String::new, |at| format!(" until {}", moment(at)));
        lines.push(format!("    before an edit{until}:"));
        lines.extend(tame(text).lines().map(|line| format!("      {line}").trim_end().to_owned()));
    }
    lines
}

/// What something is called, and where it is.
fn named(name: Option<&str>, url: Option<&str>) -> String {
    match (name.filter(|name| !name.trim().is_empty()), url) {
        (Some(name), Some(url)) => format!("{} ({})", tame_line(name), tame_line(url)),
        (Some(one), None) | (None, Some(one)) => tame_line(one),
        (None, None) => "(not named)".to_owned(),
    }
}

fn utc(iso: &str) -> String {
    format!("{} UTC", moment(iso))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Line {
        Line {
            external_id: "7:a".to_owned(),
            sent_at: Some("2026-03-01T09:00:05.120Z".to_owned()),
            author_kind: "bot".to_owned(),
            author: Some("Iris".to_owned()),
            kind: "text".to_owned(),
            event: None,
            body_text: text.to_owned(),
            reaction: 0,
            model: None,
            edited_at: None,
            deleted_at: None,
            erased_at: None,
            citations: Vec::new(),
        }
    }

    fn alone(message: &Line, dim: bool) -> Vec<String> {
        block(message, &Beside::default(), dim)
    }

    #[test]
    fn a_message_is_a_line_about_it_and_its_text() {
        assert_eq!(
            alone(&said("Hello!\n\nHow can I help?"), false),
            ["2026-03-01 09:00:05  bot Iris", "    Hello!", "", "    How can I help?"]
        );
        let voted = Line {
            author: None,
            reaction: 1,
            edited_at: Some("2026-03-01T09:10:00.000Z".to_owned()),
            deleted_at: Some("2026-03-02T00:00:00.000Z".to_owned()),
            ..said("")
        };
        let beside = Beside {
            citations: vec![(Some("https://shop.example.test/returns".to_owned()), None)],
            attachments: vec![("image".to_owned(), None, Some("../x\u{1b}".to_owned()))],
            revisions: vec![("Hi\nthere".to_owned(), Some("2026-03-01T09:10:00.000Z".to_owned()))],
        };
        assert_eq!(
            block(&voted, &beside, false),
            [
                "2026-03-01 09:00:05  bot  [+1] [edited 2026-03-01 09:10:00] [deleted 2026-03-02 00:00:00]",
                "    (no text)",
                "    sources:",
                "      - https://shop.example.test/returns",
                "    attached at the provider:",
                "      - image: ../x\u{fffd}",
                "    before an edit until 2026-03-01 09:10:00:",
                "      Hi",
                "      there",
            ]
        );
    }

    #[test]
    fn an_event_is_one_line_and_dim_where_that_can_be_shown() {
        let event = Line {
            kind: "event".to_owned(),
            event: Some("CONVERSATION_ESCALATED".to_owned()),
            sent_at: None,
            ..said("handed over\nto a human")
        };
        let plain = "(time unknown)       -- CONVERSATION_ESCALATED: handed over to a human --";
        let gone = Line { erased_at: Some("2026-03-02T00:00:00.000Z".to_owned()), ..said("") };
        assert_eq!(alone(&gone, false)[1], "    (the text was erased)");
        assert_eq!(alone(&event, false), [plain]);
        assert_eq!(alone(&event, true), [format!("\u{1b}[2m{plain}\u{1b}[22m")]);
    }

    #[test]
    fn what_strangers_wrote_does_nothing_to_the_terminal() {
        let wild = Line {
            author: Some("Eve\n\u{1b}]0;".to_owned()),
            event: Some("\u{7}".to_owned()),
            ..said("\u{1b}[2J\rgone\u{9b}")
        };
        let event = Line { kind: "event".to_owned(), ..said("\u{1b}[2J") };
        let wilder = || Some("\u{202e}x\n\u{1b}".to_owned());
        let beside = Beside {
            citations: vec![(wilder(), wilder())],
            attachments: vec![("\u{1b}".to_owned(), wilder(), wilder())],
            revisions: vec![("\u{1b}[2J\r\u{202e}".to_owned(), None)],
        };
        for line in block(&wild, &beside, false).into_iter().chain(alone(&event, false)) {
            assert!(!line.chars().any(|c| c.is_control() || c == '\u{202e}'), "{line:?}");
        }
    }

    #[test]
    fn the_head_leaves_out_what_is_not_known_and_owns_up_to_gaps() {
        let mut conversation = ConversationHead {
            id: 12,
            source: "agents".to_owned(),
            provider: "zaia".to_owned(),
            external_id: "c-1".to_owned(),
            channel: Some("whatsapp".to_owned()),
            title: None,
            contact: Some("Ada\u{1b} Quill".to_owned()),
            status: "open".to_owned(),
            started_at: Some("2026-03-01T09:00:00.000Z".to_owned()),
            last_message_at: None,
            complete: true,
            incomplete_reason: None,
            deleted_at: None,
        };
        assert_eq!(
            head(&conversation, 1),
            [
                "conversation  c-1 (row 12)",
                "source        agents (zaia)",
                "channel       whatsapp",
                "contact       Ada\u{fffd} Quill",
                "status        open",
                "started       2026-03-01 09:00:00 UTC",
                "holds         1 message, complete",
            ]
        );
        (conversation.complete, conversation.incomplete_reason) = (false, Some("limit".to_owned()));
        let told = head(&conversation, 1000);
        assert_eq!(told.last().unwrap(), "holds         1000 messages, there may be more at the provider (limit)");
    }
}
