//! One chat's messages: the plain list, its side threads where they are needed, and the senders nobody knows.

use std::collections::BTreeSet;

use serde_json::value::RawValue;

use super::limits::{Verdict, judge};
use super::messages::{Gathered, direction, items};
use super::request::{DEFAULT_LIMIT, Encoding, MESSAGE_LIMIT, PAGE_SIZE, Query, messages_query, paging, path};
use super::shapes::Chat;
use super::threads::{Evidence, Threads, weigh};
use super::wire::{self, Peek};
use super::{Zaia, senders};
use crate::http::{Disposition, FetchError};
use crate::model::RawRecord;
use crate::provider::{ConversationPage, Fetched, Job};

type Rows = Vec<Box<RawValue>>;

/// An answer to "all messages of this chat (or thread)".
struct Listing {
    rows: Rows,
    /// There may be more that this request cannot bring.
    cut: bool,
    /// The encoding that was accepted.
    encoding: Encoding,
}

/// A fetch in progress.
struct Work<'a> {
    job: &'a Job,
    gathered: Gathered,
    cut: bool,
    refetch_all: bool,
    /// Every thread of the chat was read.
    all_threads: bool,
}

impl Zaia {
    /// Fetches a chat's messages.
    pub(super) async fn fetch(&self, job: &Job) -> Result<Fetched, FetchError> {
        let chat = job.external_id.as_str();
        // A chat that its list leaves out may be removed: only the chat itself tells.
        let mut head = None;
        if job.unlisted {
            match self.chat(chat).await {
                Ok(json) => head = Some(("chats", wire::record(wire::Peek::of(&json).id, None, json))),
                Err(FetchError::NotFound { .. }) => return Ok(Fetched::Gone),
                // Neither in the list nor an id that a chat could have: a damaged row once named it.
                Err(FetchError::Rejected { status: 400 | 422, .. }) if !is_uuid(chat) => return Ok(Fetched::Gone),
                Err(error) => return Err(error),
            }
        }
        let gathered = Gathered::new(chat);
        let mut work = Work { job, gathered, cut: false, refetch_all: false, all_threads: false };
        let plain = match self.listing(&mut work, None).await {
            Err(FetchError::NotFound { endpoint, status, .. }) => return self.unanswered(chat, endpoint, status).await,
            plain => plain?,
        };
        let (plain_cut, encoding) = (plain.cut, plain.encoding);
        self.take(&mut work, plain);

        if self.threads.state() == Threads::Undecided {
            self.watch_threads(&mut work, plain_cut).await?;
        }
        // Decided earlier, just now, or by another chat meanwhile.
        if self.threads.state() == Threads::Omitted && !work.all_threads {
            self.read_threads(&mut work).await?;
        }

        let mut records = self.unknown_senders(&work, encoding).await?;
        records.extend(head);
        let incomplete = if work.cut {
            Some("limit")
        } else if work.gathered.is_behind(job.reported_last_ms) {
            Some("behind")
        } else {
            None
        };
        records.extend(work.gathered.into_records().into_iter().map(|record| ("messages", record)));
        Ok(Fetched::Page(ConversationPage {
            records,
            incomplete,
            refetch_all: work.refetch_all,
            ..ConversationPage::default()
        }))
    }

    /// The chat itself.
    async fn chat(&self, chat: &str) -> Result<Box<RawValue>, FetchError> {
        self.http.get(&path(&["chats", chat]), &[], wire::read_item).await
    }

    /// What it means that a chat's messages are not found: only the chat itself tells whether it is gone.
    async fn unanswered(&self, chat: &str, endpoint: String, status: u16) -> Result<Fetched, FetchError> {
        match self.chat(chat).await {
            Ok(json) if !is_removed(&json) => {
                let detail = "the chat is there, but its messages are not answered".to_owned();
                Err(FetchError::NotFound { endpoint, status, detail })
            }
            Ok(_) | Err(FetchError::NotFound { .. }) => Ok(Fetched::Gone),
            Err(error) => Err(error),
        }
    }

    fn take(&self, work: &mut Work<'_>, listing: Listing) {
        let items = items(listing.rows);
        let direction = direction(&items);
        work.cut |= listing.cut;
        work.gathered.add(items, self.order.learn(direction));
    }

    /// All messages of the chat, or of one of its threads, with the limit written as the server wants it.
    async fn listing(&self, work: &mut Work<'_>, thread: Option<&str>) -> Result<Listing, FetchError> {
        let chat = work.job.external_id.as_str();
        let (encoding, rows) = self.accepted(chat, thread).await?;
        // How many of a single thread's messages are stored is not known.
        let stored = if thread.is_none() { work.job.stored_messages } else { 0 };
        let verdict = judge(rows.len(), self.limits.is_proven(encoding), stored);
        let cut = match verdict {
            Verdict::Whole => false,
            Verdict::Cut => true,
            Verdict::Proves => {
                let none = self.limits.may_be_none() && self.ignores_limit(chat, thread, encoding).await?;
                work.refetch_all |= if none { self.limits.prove_none() } else { self.limits.prove(encoding) };
                false
            }
            Verdict::Doubtful => match self.probe(chat, thread, encoding, rows.len()).await? {
                Some(proven) if proven == encoding => {
                    work.refetch_all |= self.limits.prove(proven);
                    false
                }
                Some(proven) => match self.messages(&messages_query(chat, thread, proven, MESSAGE_LIMIT)).await {
                    // Obeyed for one row, and refused for this many: the rows in hand stay.
                    Err(FetchError::Rejected { .. }) => self.has_more(chat, thread, proven, rows.len()).await?,
                    rows => {
                        let rows = rows?;
                        work.refetch_all |= self.limits.prove(proven);
                        return Ok(Listing { cut: rows.len() == MESSAGE_LIMIT, rows, encoding: proven });
                    }
                },
                None => self.limits.give_up(encoding, rows.len(), stored),
            },
        };
        Ok(Listing { rows, cut, encoding })
    }

    /// The first encoding that the server takes, and its answer.
    async fn accepted(&self, chat: &str, thread: Option<&str>) -> Result<(Encoding, Rows), FetchError> {
        let mut first = None;
        for encoding in self.limits.order() {
            match self.messages(&messages_query(chat, thread, encoding, MESSAGE_LIMIT)).await {
                Ok(rows) => {
                    self.limits.accepted(encoding);
                    return Ok((encoding, rows));
                }
                Err(error @ FetchError::Rejected { .. }) => first = first.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        // Rejected however it was asked: then the encoding was not the reason.
        Err(first.unwrap_or(FetchError::Cancelled))
    }

    /// The first encoding by which a limit of one brings one row of a list that is longer, or at least far fewer than
    /// are in hand: a server may raise a limit that it thinks too small. Not where another encoding was proven, nor so
    /// many as come without any.
    async fn probe(
        &self,
        chat: &str,
        thread: Option<&str>,
        in_use: Encoding,
        in_hand: usize,
    ) -> Result<Option<Encoding>, FetchError> {
        let proven = self.limits.is_proven(in_use);
        for encoding in self.limits.to_probe(in_use) {
            let most = if proven && encoding != in_use { 1 } else { in_hand.min(DEFAULT_LIMIT) / 2 };
            match self.messages(&messages_query(chat, thread, encoding, 1)).await {
                Ok(rows) if (1..=most).contains(&rows.len()) => return Ok(Some(encoding)),
                Ok(_) | Err(FetchError::Rejected { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Whether more rows than the default come where one was asked for.
    async fn ignores_limit(&self, chat: &str, thread: Option<&str>, encoding: Encoding) -> Result<bool, FetchError> {
        match self.messages(&messages_query(chat, thread, encoding, 1)).await {
            Ok(rows) => Ok(rows.len() > DEFAULT_LIMIT),
            Err(FetchError::Rejected { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether a list has more than so many rows, as far as a limit tells that is obeyed but refused when it is large.
    async fn has_more(
        &self,
        chat: &str,
        thread: Option<&str>,
        encoding: Encoding,
        rows: usize,
    ) -> Result<bool, FetchError> {
        let more = match self.messages(&messages_query(chat, thread, encoding, rows + 1)).await {
            Ok(shown) => shown.len() > rows,
            // There may be.
            Err(FetchError::Rejected { .. }) => true,
            Err(error) => return Err(error),
        };
        if more {
            self.limits.refused();
        }
        Ok(more)
    }

    async fn messages(&self, query: &Query) -> Result<Rows, FetchError> {
        self.list(&path(&["chat-messages"]), query).await
    }

    pub(super) async fn list(&self, path: &[&str], query: &Query) -> Result<Rows, FetchError> {
        let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.http.get(path, &query, wire::read_list).await
    }

    /// Looks for proof that the plain list holds, or lacks, the messages of threads.
    async fn watch_threads(&self, work: &mut Work<'_>, plain_cut: bool) -> Result<(), FetchError> {
        let shown = work.gathered.peeks().find_map(|peek| peek.chat_thread_id.clone());
        let shown_in_plain = shown.is_some();
        let threads = match shown {
            // One thread tells: either the plain list holds all of it, or only the message that it hangs on.
            Some(thread) => BTreeSet::from([thread]),
            None => {
                let behind = work.gathered.is_behind(work.job.reported_last_ms);
                if !self.threads.worth_probing(&work.job.external_id, work.gathered.len(), behind) {
                    return Ok(());
                }
                match self.thread_ids(work).await {
                    Ok(threads) => threads,
                    Err(error) => return self.probe_failed(error),
                }
            }
        };
        let mut listings = Vec::new();
        for thread in &threads {
            match self.listing(work, Some(thread)).await {
                Ok(listing) => listings.push(listing),
                Err(error) if shown_in_plain => {
                    // The filter does not work, yet threaded messages came without it.
                    self.probe_failed(error)?;
                    self.threads.decide(Threads::Included);
                    return Ok(());
                }
                Err(error) => return self.probe_failed(error),
            }
        }
        let threaded: Vec<Peek> = listings.iter().flat_map(|listing| &listing.rows).map(|row| Peek::of(row)).collect();
        let mut evidence = weigh(&work.gathered.ids(), plain_cut, &threaded);
        if evidence == Evidence::Missing {
            // It may have been sent between the two questions: only a second look proves that it is left out.
            let again = self.listing(work, None).await?;
            let again_cut = again.cut;
            self.take(work, again);
            evidence = weigh(&work.gathered.ids(), again_cut, &threaded);
        }
        work.all_threads = !shown_in_plain;
        for listing in listings {
            self.take(work, listing);
        }
        match evidence {
            Evidence::Missing => {
                work.refetch_all = true;
                self.threads.decide(Threads::Omitted);
            }
            Evidence::Included => self.threads.decide(Threads::Included),
            Evidence::None if shown_in_plain && !plain_cut => self.threads.decide(Threads::Included),
            Evidence::None => {}
        }
        Ok(())
    }

    /// A probe is a question of ours: unless nothing can be asked any more, its failure costs the chat nothing.
    fn probe_failed(&self, error: FetchError) -> Result<(), FetchError> {
        self.threads.failed();
        tracing::debug!(%error, "side threads could not be probed");
        match error {
            FetchError::Deferred { .. } => Err(error),
            error if error.disposition() == Disposition::StopSource => Err(error),
            _ => Ok(()),
        }
    }

    /// Reads every thread of the chat.
    async fn read_threads(&self, work: &mut Work<'_>) -> Result<(), FetchError> {
        let threads = match self.thread_ids(work).await {
            Err(FetchError::NotFound { .. }) => BTreeSet::new(),
            threads => threads?,
        };
        for thread in threads {
            match self.listing(work, Some(&thread)).await {
                // Removed since it was listed.
                Err(FetchError::NotFound { .. }) => {}
                listing => self.take(work, listing?),
            }
        }
        work.all_threads = true;
        Ok(())
    }

    /// The chat's threads, page by page until one is not full or brings nothing new.
    async fn thread_ids(&self, work: &mut Work<'_>) -> Result<BTreeSet<String>, FetchError> {
        let mut ids = BTreeSet::new();
        for number in 1.. {
            let mut query = vec![("chatId", work.job.external_id.clone())];
            query.extend(paging(number, PAGE_SIZE));
            let rows = self.list(&path(&["chat-threads"]), &query).await?;
            let before = ids.len();
            ids.extend(rows.iter().filter_map(|row| Peek::of(row).id));
            if self.pages.is_last("chat-threads", number, rows.len(), PAGE_SIZE) {
                break;
            }
            if ids.len() == before {
                // A full page of known threads: the page number has no effect, and the rest stays out of reach.
                work.cut |= rows.len() >= PAGE_SIZE as usize;
                break;
            }
        }
        Ok(ids)
    }

    /// Records of senders whose role does not say who they are.
    async fn unknown_senders(
        &self,
        work: &Work<'_>,
        encoding: Encoding,
    ) -> Result<Vec<(&'static str, RawRecord)>, FetchError> {
        let wanted = self.senders.to_ask(work.gathered.peeks());
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let mut query = messages_query(&work.job.external_id, None, encoding, MESSAGE_LIMIT);
        query.push(("joins", "senders".to_owned()));
        let found = match self.messages(&query).await {
            Ok(rows) => senders::records(&rows, &wanted),
            Err(FetchError::Rejected { .. }) => Vec::new(),
            // Names are a bonus: the messages are in hand.
            Err(error) if error.disposition() == Disposition::StopStream => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        self.senders.outcome(!found.is_empty());
        Ok(found.into_iter().map(|record| (senders::STREAM, record)).collect())
    }
}

/// Whether a chat says of itself that it is removed.
fn is_removed(chat: &RawValue) -> bool {
    serde_json::from_str::<Chat>(chat.get()).is_ok_and(|chat| chat.is_removed == Some(true))
}

/// Whether an id has the documented shape.
fn is_uuid(id: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    id.split('-').map(str::len).eq(lengths) && id.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;
