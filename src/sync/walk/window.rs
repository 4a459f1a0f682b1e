//! Time windows, bisected until each fits one page: one page is one look at the list, so nothing can shift
//! between two of them. Rows that are touched meanwhile leave their window to the right, and belong to the next pass.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{Broken, keys, short};
use crate::provider::{Ask, Page};

/// Share of a page that a window is made to hold at first, in percent: room for rows that come meanwhile.
const FILL_PERCENT: u64 = 70;

/// A window; an open side is `None`. Bounds are inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Window {
    from: Option<i64>,
    to: Option<i64>,
    /// More than one only in a window of a single millisecond, which cannot be split.
    page: u32,
}

/// A walk over windows, after the plain list where a complete enumeration is wanted (rows without a time are in no
/// window).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Windows {
    /// The pass began at this time: windows are split at or before it, and the newest stays open.
    start_ms: i64,
    /// Plain page to read next, while the plain list is being read.
    plain: Option<u32>,
    pending: Vec<Window>,
    newest: Option<i64>,
    /// The plain list alone: the windows proved useless.
    plain_only: bool,
    /// Windows were asked and brought no row at all.
    #[serde(default)]
    pub(crate) ended_on_nothing: bool,
    /// What the plain list showed. Not saved: after a kill, windows are found by bisecting alone.
    #[serde(skip)]
    rows: HashSet<i64>,
    #[serde(skip)]
    times: Vec<i64>,
    /// The page before, within a window of one millisecond.
    #[serde(skip)]
    page_before: Option<i64>,
}

impl Windows {
    /// Everything: the plain list, then windows over all time that prove that it was whole.
    #[must_use]
    pub fn complete(start_ms: i64) -> Self {
        Self { plain: Some(1), pending: Vec::new(), ..Self::since(0, start_ms) }
    }

    /// Rows from a time on.
    #[must_use]
    pub fn since(from: i64, start_ms: i64) -> Self {
        Self {
            start_ms,
            plain: None,
            pending: vec![Window { from: Some(from), to: None, page: 1 }],
            newest: None,
            plain_only: false,
            ended_on_nothing: false,
            rows: HashSet::new(),
            times: Vec::new(),
            page_before: None,
        }
    }

    /// Everything, by the plain list alone.
    #[must_use]
    pub fn plain_only(start_ms: i64) -> Self {
        Self { plain_only: true, ..Self::complete(start_ms) }
    }

    /// Whether only the plain list is read.
    #[must_use]
    pub fn is_plain_only(&self) -> bool {
        self.plain_only
    }

    pub(super) fn newest(&self) -> Option<i64> {
        self.newest
    }

    pub(super) fn ask(&self, limit: u32) -> Option<Ask> {
        if let Some(number) = self.plain {
            return Some(Ask::Number { number, limit });
        }
        let window = self.pending.last()?;
        Some(Ask::Window { from: window.from, to: window.to, number: window.page, limit })
    }

    pub(super) fn take(&mut self, page: &Page, limit: u32) -> Result<(), Broken> {
        match self.plain {
            Some(number) => {
                self.take_plain(page, limit, number);
                Ok(())
            }
            None => self.take_window(page, limit),
        }
    }

    fn take_plain(&mut self, page: &Page, limit: u32, number: u32) {
        self.newest = self.newest.max(keys(page).max());
        self.times.extend(keys(page));
        let mut new = false;
        for id in page.records.iter().filter_map(|record| record.id.as_deref()) {
            new |= self.rows.insert(short(id));
        }
        let short_page = fits(page, limit);
        if new && !short_page {
            self.plain = Some(number.saturating_add(1));
            return;
        }
        self.plain = None;
        // A list of one page was seen in one look: there is nothing left to prove.
        if number > 1 && !self.plain_only {
            self.pending = self.cover(limit);
        }
    }

    /// Windows over all time, each with room to spare, newest first to be asked last.
    fn cover(&mut self, limit: u32) -> Vec<Window> {
        self.times.sort_unstable();
        let room = usize::try_from((u64::from(limit) * FILL_PERCENT / 100).max(1)).unwrap_or(1);
        let mut windows = Vec::new();
        let mut from = None;
        for chunk in self.times.chunks(room) {
            let Some(to) = chunk.last().copied().filter(|to| from.is_none_or(|from| *to > from)) else { continue };
            windows.push(Window { from, to: Some(to), page: 1 });
            from = Some(to + 1);
        }
        windows.push(Window { from, to: None, page: 1 });
        windows.reverse();
        self.times = Vec::new();
        windows
    }

    fn take_window(&mut self, page: &Page, limit: u32) -> Result<(), Broken> {
        let Some(window) = self.pending.pop() else { return Ok(()) };
        // One millisecond of slack: times are cut to milliseconds, and adapters widen bounds that may be exclusive.
        let outside =
            |key: i64| window.from.is_some_and(|from| key < from - 1) || window.to.is_some_and(|to| key > to + 1);
        if keys(page).any(outside) {
            return Err(Broken::Filter);
        }
        let was_first = self.newest.is_none() && self.rows.is_empty();
        self.newest = self.newest.max(keys(page).max());
        if fits(page, limit) {
            self.ended_on_nothing = was_first && page.records.is_empty();
            self.page_before = None;
            return Ok(());
        }
        self.split(window, page)
    }

    /// Splits a window that did not fit one page, at the middle of the times it showed.
    fn split(&mut self, window: Window, page: &Page) -> Result<(), Broken> {
        if window.to.is_none() && window.from.is_none_or(|from| from < self.start_ms) {
            self.pending.push(Window { from: Some(self.start_ms.saturating_add(1)), to: None, page: 1 });
            self.pending.push(Window { to: Some(self.start_ms), ..window });
            return Ok(());
        }
        let mut times: Vec<i64> = keys(page).collect();
        times.sort_unstable();
        let (Some(first), Some(last)) = (times.first().copied(), times.last().copied()) else {
            return Err(Broken::Filter);
        };
        let low = window.from.unwrap_or(first);
        let high = window.to.unwrap_or(last);
        let middle = times.get(times.len() / 2).copied().unwrap_or(first).clamp(low, high);
        let middle = if middle >= high { low.midpoint(high) } else { middle };
        if low >= high || middle >= high {
            // One millisecond holds more rows than a page: its pages are read one after the other.
            let mut ids = crate::model::Hasher::new();
            for record in &page.records {
                ids.text(record.id.as_deref());
            }
            if self.page_before.replace(ids.finish()) == Some(ids.finish()) {
                return Err(Broken::Stalled);
            }
            self.pending.push(Window { page: window.page.saturating_add(1), ..window });
            return Ok(());
        }
        self.pending.push(Window { from: Some(middle.saturating_add(1)), to: window.to, page: 1 });
        self.pending.push(Window { from: window.from, to: Some(middle), page: 1 });
        Ok(())
    }
}

/// Whether a page holds all rows of its question: fewer than asked for, unless the provider says that more follow.
fn fits(page: &Page, limit: u32) -> bool {
    page.records.len() < limit as usize && page.last != Some(false)
}

#[cfg(test)]
mod tests {
    use super::super::testing::page;
    use super::*;

    /// A list whose rows are times; answers as a faithful provider would, in no particular order.
    fn answer(rows: &[i64], ask: &Ask) -> Page {
        let (from, to, number, limit) = match *ask {
            Ask::Number { number, limit } => (None, None, number, limit),
            Ask::Window { from, to, number, limit } => (from, to, number, limit),
            _ => panic!("not asked by this rung"),
        };
        let matching = rows
            .iter()
            .enumerate()
            .filter(|(_, row)| from.is_none_or(|from| **row >= from) && to.is_none_or(|to| **row <= to));
        let chosen: Vec<(usize, i64)> = matching
            .map(|(id, row)| (id, *row))
            .skip((number as usize - 1) * limit as usize)
            .take(limit as usize)
            .collect();
        let mut page = page(&chosen.iter().map(|(_, row)| *row).collect::<Vec<_>>());
        for (record, (id, _)) in page.records.iter_mut().zip(chosen) {
            record.id = Some(id.to_string());
        }
        page
    }

    fn read_all(mut walk: Windows, rows: &[i64], limit: u32) -> (HashSet<i64>, usize) {
        let mut seen = HashSet::new();
        let mut asked = 0;
        while let Some(ask) = walk.ask(limit) {
            let page = answer(rows, &ask);
            seen.extend(keys(&page));
            walk.take(&page, limit).unwrap();
            asked += 1;
            assert!(asked < 10_000, "no progress");
        }
        (seen, asked)
    }

    #[test]
    fn a_small_list_is_one_request() {
        let rows: Vec<i64> = (0..50).collect();
        assert_eq!(read_all(Windows::complete(1000), &rows, 100).1, 1);
        assert_eq!(read_all(Windows::since(10, 1000), &rows, 100).1, 1);
    }

    #[test]
    fn every_row_is_read_however_the_times_are_spread() {
        let spread: Vec<Vec<i64>> = vec![
            (0..1000).map(|n| n * 37 % 1009).collect(),
            (0..1000).map(|n| if n < 990 { 5 } else { n }).collect(),
            (0..1000).map(|n| n * n).collect(),
            vec![7; 350],
        ];
        for rows in spread {
            let wanted: HashSet<i64> = rows.iter().copied().collect();
            assert_eq!(read_all(Windows::complete(10_000_000), &rows, 10).0, wanted);
            assert_eq!(read_all(Windows::since(0, 10_000_000), &rows, 10).0, wanted);
            // Rows of the future are read too: the newest window stays open.
            assert_eq!(read_all(Windows::since(0, 3), &rows, 10).0, wanted);
        }
    }

    #[test]
    fn windows_cost_little_more_than_pages() {
        let rows: Vec<i64> = (0..10_000).map(|n| n * 1000).collect();
        let (_, asked) = read_all(Windows::complete(100_000_000), &rows, 100);
        assert!(asked <= 101 + 144, "{asked} requests for 100 pages");
    }

    #[test]
    fn a_window_that_is_ignored_is_noticed() {
        let mut walk = Windows::since(500, 1000);
        assert_eq!(walk.take(&page(&[10, 600]), 100), Err(Broken::Filter));
    }
}
