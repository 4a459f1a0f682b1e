//! One conversation as a page shows it: what stands above it, and each message.

use std::fmt;

use super::clock::Clock;
use super::escape::{Shown, link};
use super::tame::tame_line;
use crate::store::{Beside, ConversationHead, Line};

/// What stands above the messages.
#[derive(Debug)]
pub struct Top<'a> {
    pub head: &'a ConversationHead,
    pub clock: &'a Clock,
}

impl fmt::Display for Top<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { head, clock } = self;
        let heading = head.title.as_deref().or(head.contact.as_deref()).unwrap_or(&head.external_id);
        writeln!(f, "<h1><bdi>{}</bdi></h1>", Shown(&tame_line(heading)))?;
        if !head.complete {
            let reason = head.incomplete_reason.as_deref().unwrap_or("no reason is known");
            writeln!(
                f,
                "<p class=\"warn\">This conversation is not known to be complete: there may be more at the provider ({}).</p>",
                Shown(&tame_line(reason))
            )?;
        }
        if let Some(at) = &head.deleted_at {
            writeln!(f, "<p class=\"warn\">The provider has deleted this conversation (seen {}).</p>", clock.time(at))?;
        }
        writeln!(f, "<dl>")?;
        let rows = [
            ("conversation", Some(head.external_id.as_str())),
            ("source", Some(head.source.as_str())),
            ("provider", Some(head.provider.as_str())),
            ("channel", head.channel.as_deref()),
            ("contact", head.contact.as_deref()),
            ("status", Some(head.status.as_str())),
        ];
        for (name, value) in rows {
            if let Some(value) = value {
                writeln!(f, "<dt>{name}</dt><dd><bdi>{}</bdi></dd>", Shown(&tame_line(value)))?;
            }
        }
        if let Some(at) = &head.started_at {
            writeln!(f, "<dt>started</dt><dd>{}</dd>", clock.time(at))?;
        }
        writeln!(f, "<dt>times</dt><dd>{}</dd></dl>", Shown(clock.name()))
    }
}

/// One message, with what stands beside it.
#[derive(Debug)]
pub struct Said<'a> {
    pub line: &'a Line,
    pub beside: &'a Beside,
    pub clock: &'a Clock,
}

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, beside, clock } = self;
        // One of the store's own words: its column lets no other in.
        let class = if line.kind == "event" { "event" } else { line.author_kind.as_str() };
        write!(f, "<article class=\"{}\"><header>", Shown(class))?;
        match &line.sent_at {
            Some(at) => write!(f, "{}", clock.time(at))?,
            None => f.write_str("time unknown")?,
        }
        write!(f, " <b>{}</b>", Shown(&line.author_kind))?;
        if let Some(author) = &line.author {
            write!(f, " <bdi>{}</bdi>", Shown(&tame_line(author)))?;
        }
        if let Some(event) = &line.event {
            write!(f, " · event {}", Shown(&tame_line(event)))?;
        }
        if let Some(model) = &line.model {
            write!(f, " · model {}", Shown(&tame_line(model)))?;
        }
        match line.reaction {
            1 => f.write_str(" · voted up")?,
            -1 => f.write_str(" · voted down")?,
            _ => {}
        }
        if let Some(at) = &line.edited_at {
            write!(f, " · edited {}", clock.time(at))?;
        }
        if let Some(at) = &line.deleted_at {
            write!(f, " · deleted {}", clock.time(at))?;
        }
        writeln!(f, "</header>")?;
        let (open, close) = if line.deleted_at.is_some() { ("<del>", "</del>") } else { ("", "") };
        if line.body_text.trim().is_empty() {
            let why = if line.erased_at.is_some() { "the text was erased" } else { "no text" };
            writeln!(f, "<p><i>({why})</i></p>")?;
        } else {
            // `div` in `del` is allowed where the content is that of an article.
            writeln!(f, "{open}<div class=\"text\" dir=\"auto\">{}</div>{close}", Shown(&line.body_text))?;
        }
        self.beside(f, beside)?;
        writeln!(f, "</article>")
    }
}

impl Said<'_> {
    fn beside(&self, f: &mut fmt::Formatter<'_>, beside: &Beside) -> fmt::Result {
        if !beside.citations.is_empty() {
            f.write_str("<p>Sources:</p><ul>")?;
            for (address, title) in &beside.citations {
                f.write_str("<li><bdi>")?;
                link(f, address.as_deref(), title.as_deref())?;
                f.write_str("</bdi></li>")?;
            }
            f.write_str("</ul>\n")?;
        }
        if !beside.attachments.is_empty() {
            f.write_str("<p>Attachments, at the provider:</p><ul>")?;
            for (kind, address, name) in &beside.attachments {
                write!(f, "<li>{}: <bdi>", Shown(&tame_line(kind)))?;
                link(f, address.as_deref(), name.as_deref())?;
                f.write_str("</bdi></li>")?;
            }
            f.write_str("</ul>\n")?;
        }
        for (text, at) in &beside.revisions {
            f.write_str("<details><summary>Before an edit")?;
            if let Some(at) = at {
                write!(f, " (seen {})", self.clock.time(at))?;
            }
            writeln!(f, "</summary><div class=\"text\" dir=\"auto\">{}</div></details>", Shown(text))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_tells_all_that_is_known_of_it() {
        let line = Line {
            external_id: "7:a".to_owned(),
            sent_at: Some("2026-03-01T09:00:05.120Z".to_owned()),
            author_kind: "bot".to_owned(),
            author: Some("<img src=x>".to_owned()),
            kind: "text".to_owned(),
            event: None,
            body_text: "<script>\n& so on".to_owned(),
            reaction: -1,
            model: Some("m-1".to_owned()),
            edited_at: Some("2026-03-01T09:10:00.000Z".to_owned()),
            deleted_at: Some("2026-03-02T00:00:00.000Z".to_owned()),
            erased_at: None,
            citations: Vec::new(),
        };
        let beside = Beside {
            citations: vec![(Some("https://shop.example.test/".to_owned()), Some("Returns".to_owned()))],
            attachments: vec![("image".to_owned(), Some("javascript:x".to_owned()), Some("../x".to_owned()))],
            revisions: vec![("<b>old".to_owned(), None)],
        };
        let clock = Clock::of("America/New_York");
        let told = Said { line: &line, beside: &beside, clock: &clock }.to_string();
        for part in [
            "<article class=\"bot\">",
            "2026-03-01 04:00:05",
            "&lt;img src=x&gt;",
            "<del><div class=\"text\" dir=\"auto\">&lt;script&gt;\n&amp; so on</div></del>",
            "voted down",
            "model m-1",
            "edited <time",
            "deleted <time",
            "<a href=\"https://shop.example.test/\"",
            "../x <small>(javascript:x)</small>",
            "&lt;b&gt;old",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(!told.contains("<script") && !told.contains("<img"), "{told}");
    }

    #[test]
    fn what_may_be_missing_is_said() {
        let head = ConversationHead {
            id: 12,
            source: "agents".to_owned(),
            provider: "zaia".to_owned(),
            external_id: "c-1".to_owned(),
            channel: None,
            title: None,
            contact: None,
            status: "open".to_owned(),
            started_at: None,
            last_message_at: None,
            complete: false,
            incomplete_reason: Some("limit".to_owned()),
            deleted_at: Some("2026-03-02T00:00:00.000Z".to_owned()),
        };
        let told = Top { head: &head, clock: &Clock::of("UTC") }.to_string();
        for part in ["<h1><bdi>c-1</bdi></h1>", "at the provider (limit)", "has deleted this", "<dd>UTC</dd>"] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
}
