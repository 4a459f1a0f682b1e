//! Reading one feed: ask, normalise, commit with the cursor, until its walk is at its end.

use std::collections::HashSet;

use super::cursor::{FeedCursor, Unit};
use super::doubt::Doubt;
use super::error::PassError;
use super::outbox::Outbox;
use super::runner::Runner;
use super::walk::{Anchored, Broken, Changes, Keyset, Pages, Tokens, Walk, Windows};
use crate::http::FetchError;
use crate::provider::{Ask, Feed, Page, Shape};
use crate::store::failpoint::failpoint;
use crate::store::{Stretch, SweepPoint};

/// How the reading of a feed ended.
struct Read {
    ids: Vec<String>,
    /// It went on at the end of a list: what came since is still to be read.
    once_more: bool,
}

/// What a page of a sweep along ids proves about deletions.
#[derive(Default)]
struct Swept {
    stretch: Option<Stretch>,
    begins: Option<SweepPoint>,
}

/// A time watermark stays this far behind the pass's start: what providers commit late is met again.
pub(crate) const HOLD_BACK_MS: i64 = 60_000;

/// A rung that broke is tried again after a day.
const TRY_AGAIN_MS: i64 = 24 * 3_600_000;

impl Runner {
    /// Reads a feed to its end. Returns the ids of its records where they open further feeds.
    pub(crate) async fn feed(&self, feed: &Feed) -> Result<Vec<String>, PassError> {
        let mut outbox = Outbox::default();
        let read = self.read_feed(feed, &mut outbox).await;
        // What came before a failure is stored and counted all the same; that it could not be stored is the worse news.
        self.settle(&mut outbox).await?;
        let Read { ids, once_more } = read?;
        if once_more {
            return Box::pin(self.feed(&Feed { complete: false, ..feed.clone() })).await;
        }
        Ok(ids)
    }

    async fn read_feed(&self, feed: &Feed, outbox: &mut Outbox) -> Result<Read, PassError> {
        self.progress.doing(feed.key.to_string());
        let stored = self.store.cursor(self.source_id, self.cursor_key(&feed.key)).await?;
        let mut cursor = FeedCursor::parse(stored.as_deref());
        cursor.unit = if feed.shape == Shape::Ids { Unit::Id } else { Unit::Ms };
        cursor.lookback_ms = feed.lookback_ms;
        cursor.distrust_the_future(self.started_ms, HOLD_BACK_MS);
        let sweep = feed.complete;
        // A full pass wants to know which conversations a list leaves out, and only a reading by one process tells.
        let whole = feed.fans_out || (self.pass.full && feed.shape == Shape::Windows);
        let history = self.history.get().copied();
        let left = match sweep {
            true => cursor.sweep.take().filter(|_| cursor.sweep_of == history),
            false => cursor.walk.take(),
        };
        let left = left.filter(|_| !whole);
        let resumed = left.and_then(|walk| self.resume(feed, &cursor, walk));
        let mut fresh = resumed.is_none();
        // What a complete reading shows can be told only if this process saw all of it.
        let mut listed = (sweep && fresh && feed.shape == Shape::Windows).then(HashSet::new);
        let mut walk = resumed.unwrap_or_else(|| self.begin(feed, &cursor));
        // It died between its last page and the note that it is at its end: what came since is still to be read.
        let was_at_its_end = !fresh && walk.ask(feed.page_size).is_none();
        // Windows that were read before it died may have got rows since: a list is met as it was when this run began.
        let once_more = was_at_its_end || !fresh && feed.shape == Shape::Windows;
        // The same for ids along positions, where no page proves by itself what lies between two rows.
        let mut held = (sweep && fresh && feed.shape == Shape::Ids).then(HashSet::new);
        let began_at = walk.newest();
        let mut limit = feed.page_size;
        let mut ids = Vec::new();
        // A rung that breaks is asked once more before it is left: one answer may be damaged.
        let mut asked_again = false;
        let mut went_back = false;
        loop {
            while let Some(ask) = walk.ask(limit) {
                failpoint!("fetch.before");
                let answer = self.source.provider.page(&feed.key, &ask).await;
                failpoint!("fetch.after");
                let page = match answer {
                    Ok(page) => page,
                    // A keyset counts no positions, so its page size may change on the way.
                    Err(FetchError::TooLarge { .. }) if limit > 1 && matches!(ask, Ask::After { .. }) => {
                        limit = (limit / 4).max(1);
                        tracing::info!(source = %self.source.name, event = "smaller_pages", stream = %feed.key, page.rows = limit, "asking for smaller pages");
                        continue;
                    }
                    Err(FetchError::Rejected { .. }) if continues(&ask) && walk.start_over() => continue,
                    Err(FetchError::Rejected { .. }) if filters(&ask) && !std::mem::replace(&mut asked_again, true) => {
                        continue;
                    }
                    Err(error @ FetchError::Rejected { .. }) if filters(&ask) => {
                        walk = self.fall(feed, &walk, &mut cursor, &Broken::Filter, &error.to_string()).await?;
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                };
                let after = walk.newest();
                let before = (walk.stands_on_promises() && !asked_again).then(|| walk.clone());
                let outcome = walk.take(&page, limit);
                if let (Err(_), Some(before)) = (&outcome, before) {
                    (walk, asked_again) = (before, true);
                    continue;
                }
                asked_again = false;
                if feed.fans_out {
                    ids.extend(page.records.iter().filter_map(|record| record.id.clone()));
                }
                if let Some(listed) = &mut listed {
                    listed.extend(page.records.iter().filter_map(|record| record.id.as_deref()).map(short));
                }
                note_held(&mut held, &walk, &page);
                if let Err(broken) = outcome {
                    // The rows are as good as any; only the promise about what lies between them is gone.
                    self.store_page(feed, page, &mut cursor, None, Swept::default(), outbox).await?;
                    walk = self.fall_from(feed, &walk, &mut cursor, &broken).await?;
                    continue;
                }
                let swept = self.swept(feed, &walk, &page, after, walk.ask(limit).is_none(), fresh);
                fresh = false;
                self.store_page(feed, page, &mut cursor, Some(&walk), swept, outbox).await?;
            }
            self.settle(outbox).await?;
            match self.doubt(feed, &walk, &mut cursor, began_at).await? {
                None => break,
                Some(Doubt::Beyond { after }) if !std::mem::replace(&mut went_back, true) => {
                    walk = Walk::Keyset(Keyset::after(after));
                }
                Some(Doubt::Beyond { .. }) => {
                    walk = self.fall_from(feed, &walk, &mut cursor, &Broken::Order).await?;
                }
                Some(Doubt::Broken(broken)) => walk = self.fall_from(feed, &walk, &mut cursor, &broken).await?,
            }
        }
        self.finish_feed(feed, &walk, &mut cursor, held).await?;
        if listed.as_ref().is_some_and(|listed| !listed.is_empty()) {
            *self.listed.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = listed;
        }
        if !once_more {
            self.read_whole.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(feed.key.stream);
        }
        Ok(Read { ids, once_more })
    }

    /// The walk that a feed begins with.
    pub(super) fn begin(&self, feed: &Feed, cursor: &FeedCursor) -> Walk {
        let now = self.started_ms;
        let fallen = self.has_fallen(cursor);
        let from = cursor.watermark.map(|watermark| watermark.saturating_sub(feed.lookback_ms));
        let began_ms = (feed.shape == Shape::Changes).then_some(now);
        match feed.shape {
            Shape::Ids | Shape::Changes if fallen && cursor.method == "anchored" => {
                Walk::Anchored(Anchored::whole(began_ms))
            }
            Shape::Ids | Shape::Changes if fallen => Walk::Tokens(Tokens::until_stable(began_ms)),
            Shape::Windows if fallen => Walk::Windows(Windows::plain_only(now)),
            Shape::Ids if feed.complete => Walk::Keyset(Keyset::after(None)),
            Shape::Ids => Walk::Keyset(Keyset::after(cursor.watermark)),
            Shape::Changes => match from {
                Some(from) if !feed.complete => Walk::Changes(Changes::from(from, now)),
                _ => Walk::Changes(Changes::from(0, now)),
            },
            Shape::Windows => match from {
                Some(from) if !feed.complete => Walk::Windows(Windows::since(from, now)),
                _ => Walk::Windows(Windows::complete(now)),
            },
            Shape::Cursor => Walk::Tokens(Tokens::by_cursor()),
            // Where the list was read whole before, what one pass misses is in the next.
            Shape::Pages if self.pass.first || self.pass.full => Walk::Pages(Pages::overlapping()),
            Shape::Pages => Walk::Pages(Pages::default()),
        }
    }

    fn has_fallen(&self, cursor: &FeedCursor) -> bool {
        cursor.broken_at.is_some_and(|at| self.started_ms.saturating_sub(at) < TRY_AGAIN_MS)
    }

    /// Goes on with the walk that an earlier pass left: where it was cut short, or, along positions, at its end.
    /// One of another shape was left under other settings (a chatbot's list is read otherwise in the other version of
    /// the API): its place means nothing here.
    fn resume(&self, feed: &Feed, cursor: &FeedCursor, walk: Walk) -> Option<Walk> {
        match walk {
            walk if !walk.is_of(feed.shape) => None,
            Walk::Anchored(mut walk) if walk.is_done() => {
                let times = feed.shape == Shape::Changes;
                let floor = cursor.watermark.map(|watermark| watermark.saturating_sub(feed.lookback_ms));
                // A better rung is due, or there is no telling what must be read again.
                if !self.has_fallen(cursor) || times && floor.is_none() {
                    return None;
                }
                walk.go_on(floor.filter(|_| times), times.then_some(self.started_ms));
                Some(Walk::Anchored(walk))
            }
            walk => Some(walk),
        }
    }

    /// Falls to the next rung, if there is one.
    async fn fall_from(
        &self,
        feed: &Feed,
        walk: &Walk,
        cursor: &mut FeedCursor,
        broken: &Broken,
    ) -> Result<Walk, PassError> {
        self.fall(feed, walk, cursor, broken, &broken.to_string()).await
    }

    async fn fall(
        &self,
        feed: &Feed,
        walk: &Walk,
        cursor: &mut FeedCursor,
        broken: &Broken,
        why: &str,
    ) -> Result<Walk, PassError> {
        let began_ms = (feed.shape == Shape::Changes).then_some(self.started_ms);
        let next = match walk {
            // Without the filter, the order may still be kept.
            Walk::Keyset(_) | Walk::Changes(_) if *broken == Broken::Filter => {
                Walk::Anchored(Anchored::whole(began_ms))
            }
            Walk::Keyset(_) | Walk::Changes(_) | Walk::Anchored(_) => Walk::Tokens(Tokens::until_stable(began_ms)),
            Walk::Windows(walk) if !walk.is_plain_only() => Walk::Windows(Windows::plain_only(self.started_ms)),
            Walk::Windows(_) | Walk::Tokens(_) | Walk::Pages(_) => {
                // The next pass must not go on in the circle that this one was led into.
                (cursor.walk, cursor.sweep) = (None, None);
                let mut batch = self.batch();
                batch.cursors.push((self.cursor_key(&feed.key), cursor.to_json()));
                self.commit(batch).await?;
                return Err(PassError::Stalled);
            }
        };
        tracing::warn!(
            source = %self.source.name, event = "rung_fallen", stream = %feed.key, reason = why, method = next.method(),
            "reading the whole list instead"
        );
        cursor.note = match cursor.note.take().filter(|_| cursor.broken_at == Some(self.started_ms)) {
            Some(before) => Some(format!("{before}, and {why}")),
            None => Some(why.to_owned()),
        };
        cursor.broken_at = Some(self.started_ms);
        Ok(next)
    }

    /// What a page of a sweep along ids proves. A row without an id may be any: its page proves nothing.
    fn swept(&self, feed: &Feed, walk: &Walk, page: &Page, after: Option<i64>, ended: bool, fresh: bool) -> Swept {
        if !feed.complete || feed.shape != Shape::Ids || !matches!(walk, Walk::Keyset(_)) {
            return Swept::default();
        }
        let stream = self.source.provider.record_stream(feed.key.stream);
        let every_id = page.records.iter().all(|record| record.key.is_some());
        // A page that proves nothing is an empty stretch: what it holds was met all the same.
        let up_to = match (every_id, ended) {
            (false, _) => Some(i64::MIN),
            (true, true) => None,
            (true, false) => walk.newest(),
        };
        Swept { stretch: Some(Stretch { stream, after, up_to }), begins: fresh.then_some(SweepPoint::Begin(stream)) }
    }

    /// Sends a page to the store together with where the walk stands after it.
    async fn store_page(
        &self,
        feed: &Feed,
        page: Page,
        cursor: &mut FeedCursor,
        walk: Option<&Walk>,
        swept: Swept,
        outbox: &mut Outbox,
    ) -> Result<(), PassError> {
        let mut batch = self.batch();
        (batch.stretch, batch.sweep) = (swept.stretch, swept.begins);
        batch.records = page
            .records
            .into_iter()
            .map(|raw| self.record(feed.key.stream, raw))
            .filter(|record| self.in_range(record))
            .collect();
        if let Some(walk) = walk {
            walk.method().clone_into(&mut cursor.method);
            // A keyset walk's own position is the watermark: what lies before it is stored. It goes back with the walk.
            if let (Walk::Keyset(_), false) = (walk, feed.complete) {
                cursor.watermark = walk.newest().or(cursor.watermark);
            }
            let slot = if feed.complete { &mut cursor.sweep } else { &mut cursor.walk };
            *slot = Some(walk.clone());
            if feed.complete {
                cursor.sweep_of = self.history.get().copied();
            }
            batch.cursors.push((self.cursor_key(&feed.key), cursor.to_json()));
        }
        Ok(self.post(outbox, batch).await?)
    }

    /// `held`: the ids that an anchored reading of the whole list met, where this process made all of it.
    async fn finish_feed(
        &self,
        feed: &Feed,
        walk: &Walk,
        cursor: &mut FeedCursor,
        held: Option<HashSet<i64>>,
    ) -> Result<(), PassError> {
        walk.method().clone_into(&mut cursor.method);
        let fallen = matches!(walk, Walk::Tokens(_) | Walk::Anchored(_)) && feed.shape != Shape::Cursor
            || matches!(walk, Walk::Windows(windows) if windows.is_plain_only());
        if !fallen {
            (cursor.note, cursor.broken_at) = (None, None);
        }
        match feed.shape {
            // The end of a keyset walk is the end of the list, wherever a watermark stood before.
            Shape::Ids if matches!(walk, Walk::Keyset(_)) => cursor.watermark = walk.newest().or(cursor.watermark),
            Shape::Ids => cursor.advance(walk.newest()),
            Shape::Changes | Shape::Windows => {
                let began = walk.began_ms().map_or(self.started_ms, |began| began.min(self.started_ms));
                cursor.advance(walk.newest().map(|newest| newest.min(began.saturating_sub(HOLD_BACK_MS))));
            }
            Shape::Cursor => cursor.watermark = None,
            Shape::Pages => {
                cursor.watermark = None;
                if let Walk::Pages(pages) = walk {
                    let why = match (pages.ignored, pages.alone) {
                        (true, _) => Some("the page number is ignored"),
                        (_, true) => Some("pages are refused"),
                        _ => None,
                    };
                    cursor.note = why.map(|why| format!("{why}; {} rows are shown", pages.rows()));
                }
            }
        }
        cursor.probed_at = cursor.probed_at.or(Some(self.started_ms));
        cursor.finished_at = Some(self.now());
        cursor.walk = Some(walk.clone()).filter(|walk| matches!(walk, Walk::Anchored(_)));
        if feed.complete {
            (cursor.sweep, cursor.sweep_of) = (None, None);
            cursor.swept_at = Some(self.started_ms);
        }
        let stream = self.source.provider.record_stream(feed.key.stream);
        let held = held.filter(|_| feed.complete && matches!(walk, Walk::Anchored(_)));
        if held.is_some() {
            let mut batch = self.batch();
            batch.sweep = Some(SweepPoint::Begin(stream));
            self.commit(batch).await?;
        }
        let mut batch = self.batch();
        if held.is_some() || feed.complete && matches!(walk, Walk::Keyset(_)) {
            batch.sweep = Some(SweepPoint::End(stream));
        }
        if let Some(held) = held {
            (batch.stretch, batch.held) = (Some(Stretch { stream, after: None, up_to: None }), held);
        }
        batch.cursors.push((self.cursor_key(&feed.key), cursor.to_json()));
        Ok(self.commit(batch).await?)
    }
}

/// Adds the ids of a page to those met. A row without an id may be any, so nothing can be told to be absent.
fn note_held(held: &mut Option<HashSet<i64>>, walk: &Walk, page: &Page) {
    if !matches!(walk, Walk::Anchored(_)) {
        return;
    }
    if page.records.iter().any(|record| record.key.is_none()) {
        *held = None;
    } else if let Some(held) = held {
        held.extend(page.records.iter().filter_map(|record| record.key));
    }
}

/// Whether a question holds a filter that the provider may not know.
fn filters(ask: &Ask) -> bool {
    matches!(ask, Ask::After { after: Some(_), .. } | Ask::Window { .. })
}

/// Whether a question goes on from a place that the provider named.
fn continues(ask: &Ask) -> bool {
    matches!(ask, Ask::After { token: Some(_), .. } | Ask::Token { token: Some(_), .. })
}

fn short(id: &str) -> i64 {
    crate::model::Hasher::of_bytes(id.as_bytes())
}
