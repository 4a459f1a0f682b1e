//! A page per conversation, and an index of them: for reading and keeping without any program of ours.

use std::fs::File;
use std::io::{BufWriter, Write as _};

use super::folder::Folder;
use super::manifest::{MadeFile, MadeView, Manifest};
use super::{Asked, ExportError, Progress};
use crate::page::{Clock, Footer, Frame, Said, Shown, Top, tame_line};
use crate::store::{ConversationHead, Snapshot};

/// How many conversations an index page lists.
const PER_PAGE: u64 = 1_000;

/// Writes every conversation of the cut, the newest first in the index.
pub(super) fn write(
    snapshot: &Snapshot,
    asked: &Asked,
    folder: &Folder,
    progress: &Progress,
    manifest: &Manifest,
) -> Result<MadeView, ExportError> {
    let clock = Clock::of(&manifest.reporting_timezone);
    let mut index = Index { folder, clock: &clock, foot: manifest.sentence(), open: None, page: 0, made: Vec::new() };
    let mut pages = 0;
    snapshot.conversations(&asked.cut, |head, began| {
        progress.row()?;
        pages += 1;
        let path = page_path(head.id);
        let told = Transcript { snapshot, folder, progress, clock: &clock, foot: &index.foot }.write(&path, &head)?;
        index.add(&path, &head, began.as_deref().unwrap_or_default(), told)
    })?;
    let files = index.finish()?;
    Ok(MadeView {
        name: "conversations",
        view: "conversations",
        rows: pages,
        left_out_without_time: snapshot.conversations_without_time(&asked.cut)?,
        range_is_of: Some("the conversation's start, or else its first message"),
        parted_by: &[],
        columns: &[],
        files,
    })
}

/// `conversations/12/12345.html`: from the row id alone, a thousand in a folder.
fn page_path(id: i64) -> String {
    format!("conversations/{}/{id}.html", id / 1_000)
}

struct Transcript<'a> {
    snapshot: &'a Snapshot,
    folder: &'a Folder,
    progress: &'a Progress,
    clock: &'a Clock,
    foot: &'a str,
}

impl Transcript<'_> {
    /// Writes one conversation, and says how many messages it has.
    fn write(&self, path: &str, head: &ConversationHead) -> Result<u64, ExportError> {
        let full = self.folder.path(path);
        let mut file = self.folder.create(path)?;
        let mut messages = 0;
        let title = format!("{} · {}", head.source, heading(head));
        write!(file, "{}{}", Frame { title: &title }, Top { head, clock: self.clock })
            .map_err(ExportError::at(&full))?;
        self.snapshot.messages(head.id, |line, beside| {
            self.progress.go_on()?;
            messages += 1;
            write!(file, "{}", Said { line: &line, beside: &beside, clock: self.clock }).map_err(ExportError::at(&full))
        })?;
        write!(file, "<p><a href=\"../../index.html\">All conversations</a></p>{}", Footer(self.foot))
            .and_then(|()| file.flush())
            .map_err(ExportError::at(&full))?;
        Ok(messages)
    }
}

fn heading(head: &ConversationHead) -> String {
    tame_line(head.title.as_deref().or(head.contact.as_deref()).unwrap_or(&head.external_id))
}

/// The pages that list all conversations.
struct Index<'a> {
    folder: &'a Folder,
    clock: &'a Clock,
    foot: String,
    open: Option<(String, BufWriter<File>, u64)>,
    page: u64,
    made: Vec<MadeFile>,
}

/// `index.html`, `index-2.html` and so on.
fn index_path(page: u64) -> String {
    if page <= 1 { "index.html".to_owned() } else { format!("index-{page}.html") }
}

impl Index<'_> {
    fn add(&mut self, path: &str, head: &ConversationHead, began: &str, messages: u64) -> Result<(), ExportError> {
        if self.open.as_ref().is_some_and(|(_, _, rows)| *rows >= PER_PAGE) {
            self.close(true)?;
        }
        if self.open.is_none() {
            self.begin()?;
        }
        let Some((name, file, rows)) = &mut self.open else { return Ok(()) };
        *rows += 1;
        let mut notes = String::new();
        if !head.complete {
            notes.push_str(" (may be incomplete)");
        }
        if head.deleted_at.is_some() {
            notes.push_str(" (deleted at the provider)");
        }
        writeln!(
            file,
            "<tr><td>{}</td><td>{}</td><td><a href=\"{path}\"><bdi>{}</bdi></a>{notes}</td><td><bdi>{}</bdi></td><td>{messages}</td></tr>",
            self.clock.time(began),
            Shown(&head.source),
            Shown(&heading(head)),
            Shown(&tame_line(head.contact.as_deref().unwrap_or("-"))),
        )
        .map_err(ExportError::at(&self.folder.path(name)))
    }

    fn begin(&mut self) -> Result<(), ExportError> {
        self.page += 1;
        let name = index_path(self.page);
        let mut file = self.folder.create(&name)?;
        write!(
            file,
            "{}<h1>Conversations</h1>\n<p>Page {}. Times in {}.</p>\n<table>\n\
             <tr><th>began</th><th>source</th><th>conversation</th><th>contact</th><th>messages</th></tr>\n",
            Frame { title: "Conversations" },
            self.page,
            Shown(self.clock.name())
        )
        .map_err(ExportError::at(&self.folder.path(&name)))?;
        self.open = Some((name, file, 0));
        Ok(())
    }

    fn close(&mut self, more: bool) -> Result<(), ExportError> {
        let Some((name, mut file, rows)) = self.open.take() else { return Ok(()) };
        let mut ways = String::new();
        if self.page > 1 {
            ways = format!("<a href=\"{}\">Newer</a> ", index_path(self.page - 1));
        }
        if more {
            ways.push_str(&format_args!("<a href=\"{}\">Older</a>", index_path(self.page + 1)).to_string());
        }
        write!(file, "</table>\n<p>{ways}</p>{}", Footer(&self.foot))
            .map_err(ExportError::at(&self.folder.path(&name)))?;
        let bytes = self.folder.close(&name, file)?;
        self.made.push(MadeFile { path: name, rows, bytes });
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<MadeFile>, ExportError> {
        if self.page == 0 {
            self.begin()?;
        }
        self.close(false)?;
        Ok(self.made)
    }
}
