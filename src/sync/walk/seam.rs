//! Joining pages that are positions, so that no row slips through between two of them.
//!
//! A page by position is safe by itself: one page is one look at the list. Rows are lost at the seams. When rows
//! before a position go away while a reader pages, the rows behind them move down, past the reader.
//!
//! This is how a page is joined to the ground covered so far, in a list whose rows only ever move down (they are
//! removed, or leave for the end; nothing comes in before them):
//!
//! 1. read the page ahead;
//! 2. read the last joined page again. If it begins within the covered ground, the page ahead is joined;
//! 3. if it does not, read the page before that one, and so on; page 1 always joins.
//!
//! Why no row is missed: take a row that stays in its place, lies beyond the covered ground, and comes no later than
//! the last row of the page ahead. When the page ahead was read, the row was in it or before it. If before: each page
//! read after that lies directly before the one read last, and the row can only have moved down, so it was in one of
//! them or before all of them. The last of them begins within the covered ground, so the row is not before it.

use serde::{Deserialize, Serialize};

use crate::model::Hasher;
use crate::provider::Page;

/// The covered ground, and the page that is about to be joined to it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Seam {
    /// Pages joined, counted from the first.
    joined: u32,
    /// The greatest key of the covered ground, where the list is in the order of its keys.
    upto: Option<i64>,
    /// Rows of the page joined last: short forms of id and key.
    rows: Vec<i64>,
    ahead: Option<Ahead>,
    /// The page that is read again while one lies ahead.
    back: u32,
}

/// A page that was read and is not joined yet.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Ahead {
    last: Option<i64>,
    rows: Vec<i64>,
    /// Nothing follows it.
    ends: bool,
}

/// What became of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// An earlier page is to be read again first.
    Back,
    /// The page ahead is joined.
    On,
    /// The page ahead is joined, and was the last.
    End,
}

impl Seam {
    /// The number of the page to read next.
    pub(super) fn number(&self) -> u32 {
        if self.ahead.is_some() { self.back } else { self.joined.saturating_add(1) }
    }

    /// Whether the next page is a new one, not one that is read again.
    pub(super) fn goes_ahead(&self) -> bool {
        self.ahead.is_none()
    }

    pub(super) fn joined(&self) -> u32 {
        self.joined
    }

    pub(super) fn upto(&self) -> Option<i64> {
        self.upto
    }

    /// Whether a page is the one joined last, unchanged.
    pub(super) fn repeats(&self, page: &Page) -> bool {
        !page.records.is_empty() && rows_of(page) == self.rows
    }

    /// Goes back by the page joined last, which may have grown since. Rows from `floor` on count as not covered.
    pub(super) fn reopen(&mut self, floor: Option<i64>) {
        self.joined = self.joined.saturating_sub(1);
        self.ahead = None;
        if floor.is_some() {
            self.upto = floor;
            self.rows = Vec::new();
        }
    }

    /// Takes the page of [`Seam::number`]. `ordered`: the list is in the order of its keys, so that they tell what
    /// lies before what. `ends`: nothing follows this page (said of a page ahead; of no meaning for others).
    pub(super) fn take(&mut self, page: &Page, ordered: bool, ends: bool) -> Step {
        let begins_in_covered_ground = self.begins_in_covered_ground(page, ordered);
        let (ahead, first) = match self.ahead.take() {
            Some(ahead) => {
                let first = self.back <= 1;
                self.back = self.back.saturating_sub(1);
                (ahead, first)
            }
            None => {
                let last = page.records.iter().filter_map(|record| record.key).max().filter(|_| ordered);
                self.back = self.joined;
                (Ahead { last, rows: rows_of(page), ends }, self.joined == 0)
            }
        };
        if first || begins_in_covered_ground {
            return self.join(ahead);
        }
        self.ahead = Some(ahead);
        Step::Back
    }

    /// A row that is covered and kept its place shows it, and so does a smaller key than the greatest one covered.
    fn begins_in_covered_ground(&self, page: &Page, ordered: bool) -> bool {
        let first = page.records.iter().filter_map(|record| record.key).min().filter(|_| ordered);
        first.is_some_and(|first| self.upto.is_some_and(|upto| first < upto))
            || rows_of(page).iter().any(|row| self.rows.contains(row))
    }

    fn join(&mut self, ahead: Ahead) -> Step {
        self.joined = self.joined.saturating_add(1);
        self.upto = self.upto.max(ahead.last);
        // An empty page has no row to know the place by; those of the page before it serve on.
        if !ahead.rows.is_empty() {
            self.rows = ahead.rows;
        }
        if ahead.ends { Step::End } else { Step::On }
    }
}

/// A touched row is another one here: it has another place.
fn rows_of(page: &Page) -> Vec<i64> {
    let with_id = page.records.iter().filter(|record| record.id.is_some());
    with_id.map(|record| Hasher::new().text(record.id.as_deref()).number(record.key).finish()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::page;
    use super::*;

    fn read(seam: &mut Seam, keys: &[i64]) -> Step {
        seam.take(&page(keys), true, false)
    }

    #[test]
    fn the_first_page_needs_no_seam() {
        let mut seam = Seam::default();
        assert_eq!(seam.number(), 1);
        assert_eq!(read(&mut seam, &[1, 2]), Step::On);
        assert_eq!((seam.number(), seam.joined(), seam.upto()), (2, 1, Some(2)));
        assert_eq!(Seam::default().take(&page(&[]), true, true), Step::End);
    }

    #[test]
    fn a_page_is_joined_when_the_one_before_it_still_begins_where_it_did() {
        let mut seam = Seam::default();
        read(&mut seam, &[1, 2]);
        assert_eq!(seam.take(&page(&[3, 4]), true, true), Step::Back);
        assert_eq!((seam.number(), seam.joined()), (1, 1));
        assert_eq!(read(&mut seam, &[1, 2]), Step::End);
        assert_eq!((seam.number(), seam.upto()), (3, Some(4)));
    }

    #[test]
    fn when_whole_pages_went_away_the_walk_goes_back_until_it_knows_the_ground() {
        let mut seam = Seam::default();
        read(&mut seam, &[1, 2]);
        for (ahead, again) in [([3, 4], [1, 2]), ([5, 6], [3, 4])] {
            assert_eq!((read(&mut seam, &ahead), read(&mut seam, &again)), (Step::Back, Step::On));
        }
        // Four rows were removed: 11 and 12 are page 4 now, and 7 and 8 moved down to page 2.
        assert_eq!(read(&mut seam, &[11, 12]), Step::Back);
        assert_eq!((seam.number(), read(&mut seam, &[9, 10])), (3, Step::Back));
        assert_eq!((seam.number(), read(&mut seam, &[7, 8])), (2, Step::Back));
        assert_eq!((seam.number(), read(&mut seam, &[5, 6])), (1, Step::On));
        assert_eq!((seam.number(), seam.upto()), (5, Some(12)));
    }

    #[test]
    fn a_row_that_was_touched_does_not_vouch_for_its_old_place() {
        let mut seam = Seam::default();
        for keys in [[1, 2], [3, 4]] {
            seam.take(&page(&keys), false, false);
        }
        let mut touched = page(&[9]);
        touched.records[0].id = Some("2".to_owned());
        assert!(!seam.begins_in_covered_ground(&touched, false));
        assert!(seam.begins_in_covered_ground(&page(&[2, 7]), false));
    }
}
