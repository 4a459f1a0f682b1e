//! Time windows, bisected until each fits one page: one page is one look at the list, so nothing can shift
//! between two of them. Rows that are touched meanwhile leave their window to the right, and belong to the next pass.

use serde::{Deserialize, Serialize};

use super::seam::{Seam, Step};
use super::{Broken, Pages, keys};
use crate::provider::{Ask, Page};

/// Share of a page that a window is made to hold, in percent, where one page is all that is known of its rows.
const FILL_PERCENT: u64 = 70;

/// The same where all times are known: rows that are touched leave a window, so what comes in is what the plain list
/// missed, and rows of the very times at its edges. A window that holds more than a page all the same is split.
const FULL_PERCENT: u64 = 95;

/// How often the newest window is split at most. A list that grows faster than it can be read has no end.
const MOST_OPEN_SPLITS: u32 = 5;

/// So many pages in a row of one millisecond that bring no new row are no list that is read.
const MOST_IDLE: u32 = 3;

/// A window; an open side is `None`. Bounds are inclusive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Window {
    from: Option<i64>,
    to: Option<i64>,
}

/// A walk over windows, after the plain list where a complete enumeration is wanted (rows without a time are in no
/// window).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Windows {
    /// The walk began at this time: windows are split at or before it, and the newest stays open.
    start_ms: i64,
    /// The plain list, while it is being read.
    plain: Option<Pages>,
    /// Windows to read, the next one last. The newest is read last, so that it takes in what leaves the others.
    pending: Vec<Window>,
    /// The next window is one millisecond that holds more rows than a page: its pages are joined one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crowded: Option<Seam>,
    newest: Option<i64>,
    /// The plain list alone: the windows proved useless.
    plain_only: bool,
    /// Windows were asked and brought no row at all.
    #[serde(default)]
    pub(crate) ended_on_nothing: bool,
    /// Some row was met.
    met: bool,
    /// How often the newest window was split.
    open_splits: u32,
    /// The first page of the plain list was not full, and yet not taken for all of it.
    #[serde(default)]
    plain_short: bool,
    /// The next question is for what stands behind a first page that was not full and may yet not be all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    behind: bool,
    /// Something did: the server has a smaller page of its own, and windows have to fit that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    capped: bool,
    /// Rows of the crowded millisecond, and its pages ahead in a row that brought none. Not saved.
    #[serde(skip)]
    in_crowd: std::collections::HashSet<i64>,
    #[serde(skip)]
    idle: u32,
    /// The times that the plain list showed. Not saved: after a kill, windows are found by bisecting alone.
    #[serde(skip)]
    times: Vec<i64>,
}

impl Windows {
    /// Everything: the plain list, then windows over all time that prove that it was whole.
    #[must_use]
    pub fn complete(start_ms: i64) -> Self {
        Self { plain: Some(Pages::for_rest()), pending: Vec::new(), ..Self::since(0, start_ms) }
    }

    /// Rows from a time on.
    #[must_use]
    pub fn since(from: i64, start_ms: i64) -> Self {
        Self {
            start_ms,
            plain: None,
            pending: vec![Window { from: Some(from), to: None }],
            crowded: None,
            newest: None,
            plain_only: false,
            ended_on_nothing: false,
            met: false,
            open_splits: 0,
            plain_short: false,
            behind: false,
            capped: false,
            in_crowd: std::collections::HashSet::new(),
            idle: 0,
            times: Vec::new(),
        }
    }

    /// Everything, by the plain list alone.
    #[must_use]
    pub fn plain_only(start_ms: i64) -> Self {
        Self { plain_only: true, plain: Some(Pages::default()), ..Self::complete(start_ms) }
    }

    /// Whether only the plain list is read.
    #[must_use]
    pub fn is_plain_only(&self) -> bool {
        self.plain_only
    }

    pub(super) fn newest(&self) -> Option<i64> {
        self.newest
    }

    pub(super) fn began_ms(&self) -> i64 {
        self.start_ms
    }

    pub(super) fn ask(&self, limit: u32) -> Option<Ask> {
        if let Some(plain) = &self.plain {
            return plain.ask(limit);
        }
        let window = self.pending.last()?;
        let number = self.crowded.as_ref().map_or(if self.behind { 2 } else { 1 }, Seam::number);
        Some(Ask::Window { from: window.from, to: window.to, number, limit })
    }

    pub(super) fn take(&mut self, page: &Page, limit: u32) -> Result<(), Broken> {
        let first_answer = !self.met;
        self.met |= !page.records.is_empty();
        if self.plain.is_some() {
            return self.take_plain(page, limit);
        }
        self.take_window(page, limit, first_answer)
    }

    fn take_plain(&mut self, page: &Page, limit: u32) -> Result<(), Broken> {
        let Some(plain) = &mut self.plain else { return Ok(()) };
        self.newest = self.newest.max(keys(page).max());
        self.times.extend(keys(page));
        let first = plain.number() == Some(1);
        let whole = fits(page, limit);
        let nothing_behind = plain.number() == Some(2) && self.plain_short && page.records.is_empty();
        if first {
            self.plain_short = page.records.len() < limit as usize;
        }
        plain.read(page, whole);
        // A full page that comes whatever is asked for is not the whole list, and no window can tell what is.
        if plain.ignored && self.plain_only && !whole {
            return Err(Broken::Stalled);
        }
        if plain.number().is_some() {
            return Ok(());
        }
        self.plain = None;
        // A list of one page was seen in one look: there is nothing left to prove.
        let one_look = first && whole || nothing_behind;
        if !one_look && !self.plain_only {
            self.pending = self.cover(limit);
        }
        Ok(())
    }

    /// Windows over all time, each with a little room to spare, newest first to be asked last.
    fn cover(&mut self, limit: u32) -> Vec<Window> {
        self.times.sort_unstable();
        let room = usize::try_from((u64::from(limit) * FULL_PERCENT / 100).max(1)).unwrap_or(1);
        let mut windows = Vec::new();
        let mut from = None;
        for chunk in self.times.chunks(room) {
            let Some(to) = chunk.last().copied().filter(|to| from.is_none_or(|from| *to > from)) else { continue };
            windows.push(Window { from, to: Some(to) });
            from = Some(to.saturating_add(1));
        }
        windows.push(Window { from, to: None });
        windows.reverse();
        self.times = Vec::new();
        windows
    }

    fn take_window(&mut self, page: &Page, limit: u32, first_answer: bool) -> Result<(), Broken> {
        let Some(window) = self.pending.pop() else { return Ok(()) };
        // One millisecond of slack: times are cut to milliseconds, and adapters widen bounds that may be exclusive.
        let outside = |key: i64| {
            window.from.is_some_and(|from| key < from.saturating_sub(1))
                || window.to.is_some_and(|to| key > to.saturating_add(1))
        };
        if keys(page).any(outside) {
            return Err(Broken::Filter);
        }
        self.newest = self.newest.max(keys(page).max());
        if self.crowded.is_some() {
            return self.take_crowded(window, page, limit);
        }
        if std::mem::take(&mut self.behind) {
            if !page.records.is_empty() {
                self.capped = true;
                self.pending.push(window);
            }
            return Ok(());
        }
        if fits(page, limit) {
            self.ended_on_nothing = first_answer && page.records.is_empty();
            return Ok(());
        }
        if page.records.len() < limit as usize && !page.records.is_empty() && !self.capped {
            self.behind = true;
            self.pending.push(window);
            return Ok(());
        }
        self.split(window, page, limit)
    }

    /// Takes a page of a millisecond that holds several. Nothing new can come into a time that has passed, so its
    /// rows only move down, whatever their order: seams between its pages can be proven.
    fn take_crowded(&mut self, window: Window, page: &Page, limit: u32) -> Result<(), Broken> {
        let Some(seam) = &mut self.crowded else { return Ok(()) };
        if seam.goes_ahead() {
            let ids = page.records.iter().filter_map(|record| record.id.as_deref());
            let new = ids.filter(|id| self.in_crowd.insert(super::short(id))).count();
            self.idle = if new > 0 { 0 } else { self.idle + 1 };
            if seam.repeats(page) || self.idle >= MOST_IDLE {
                return Err(Broken::Stalled);
            }
        }
        if seam.take(page, false, fits(page, limit)) == Step::End {
            self.crowded = None;
            self.in_crowd.clear();
        } else {
            self.pending.push(window);
        }
        Ok(())
    }

    /// Splits a window that did not fit one page: between the times it showed, the newest window behind them.
    fn split(&mut self, window: Window, page: &Page, limit: u32) -> Result<(), Broken> {
        let later = |at: i64| Window { from: Some(at.saturating_add(1)), to: window.to };
        let until = |at: i64| Window { from: window.from, to: Some(at) };
        if window.to.is_none() && window.from.is_none_or(|from| from < self.start_ms) {
            self.pending.push(later(self.start_ms));
            self.pending.push(until(self.start_ms));
            return Ok(());
        }
        let mut times: Vec<i64> = keys(page).collect();
        times.sort_unstable();
        let (Some(first), Some(last)) = (times.first().copied(), times.last().copied()) else {
            return Err(Broken::Filter);
        };
        if window.from.is_some_and(|from| window.to.is_some_and(|to| from >= to)) {
            self.crowded = Some(Seam::default());
            return self.take_crowded(window, page, limit);
        }
        let newest_first = keys(page).is_sorted_by(|a, b| a >= b);
        if let (Some(from), None) = (window.from, window.to) {
            // Its rows are newer than the walk: what comes while it catches up belongs to the next pass anyway. Newest
            // first, one page shows where the list ends. Else rows in the future of this clock are taken in by greater
            // and greater steps.
            let most = if newest_first && first < last { 1 } else { MOST_OPEN_SPLITS };
            if self.open_splits < most {
                let reach = last.saturating_sub(from).saturating_mul((1 << (4 * self.open_splits)) - 1);
                let edge = last.saturating_add(reach).max(from);
                self.open_splits += 1;
                self.pending.push(later(edge));
                self.pending.push(until(edge));
            }
            return Ok(());
        }
        // The oldest window has no lower bound; it reaches below what the page showed.
        let high = window.to.unwrap_or(last);
        let low = window.from.unwrap_or(first.saturating_sub(1)).min(high.saturating_sub(1));
        // A page in order shows one end of the window: the part at that end is made to fit a page, with room to spare.
        let percent = if keys(page).is_sorted() {
            FILL_PERCENT
        } else if newest_first {
            100 - FILL_PERCENT
        } else {
            50
        };
        let place = times.len() * usize::try_from(percent).unwrap_or(50) / 100;
        let middle = times.get(place).copied().unwrap_or(first).clamp(low, high);
        let middle = if middle >= high { low.midpoint(high) } else { middle };
        self.pending.push(later(middle));
        self.pending.push(until(middle));
        Ok(())
    }
}

/// Whether a page holds all rows of its question: fewer than asked for, unless the provider says that more follow.
fn fits(page: &Page, limit: u32) -> bool {
    page.records.len() < limit as usize && page.last != Some(false)
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
