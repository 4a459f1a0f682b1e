//! Walks by page number, for lists that offer nothing better. They promise nothing, so they look for signs that the
//! list moved while it was read, and read it once more where they see one.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::overlap::{Joint, Overlap};
use super::{Broken, short};
use crate::model::RawRecord;
use crate::provider::{Ask, Page};

/// Rounds of a list that moves all the time, at the most.
const MOST_ROUNDS: u32 = 5;

/// Pages in a row that may bring nothing new before a round ends.
const MOST_USELESS: u32 = 3;

/// A walk by page number, from 1 until a page is empty or the same as the one before it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pages {
    number: u32,
    done: bool,
    /// Page 2 brought page 1 again: the server sends what it sends, whatever page is asked for.
    #[serde(default)]
    pub(crate) ignored: bool,
    /// The server refuses to be asked for pages.
    #[serde(default)]
    pub(crate) alone: bool,
    round: u32,
    /// The list moved during this round: a row came twice, the total changed, or the reader was away.
    moved: bool,
    total: Option<u64>,
    /// Rows with a key are read by other means: rounds are repeated for the rest alone.
    for_rest: bool,
    /// Pages overlap, so that rows that went away between two of them hide no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    overlap: Option<Box<Overlap>>,
    /// Rows of this walk. Not saved: a walk that goes on after a kill reads one more round.
    #[serde(skip)]
    rows: HashSet<i64>,
    #[serde(skip)]
    in_round: HashSet<i64>,
    #[serde(skip)]
    page_before: Vec<i64>,
    #[serde(skip)]
    new_in_round: bool,
    #[serde(skip)]
    useless: u32,
}

impl Default for Pages {
    fn default() -> Self {
        Self {
            number: 1,
            done: false,
            ignored: false,
            alone: false,
            round: 1,
            moved: false,
            total: None,
            for_rest: false,
            overlap: None,
            rows: HashSet::new(),
            in_round: HashSet::new(),
            page_before: Vec::new(),
            new_in_round: false,
            useless: 0,
        }
    }
}

impl Pages {
    /// A walk for the rows without a key; the others are read by other means too.
    pub(super) fn for_rest() -> Self {
        Self { for_rest: true, ..Self::default() }
    }

    /// A walk for a list that is to be enumerated: its pages overlap where the server lets their size be chosen, at the
    /// price of a few more requests.
    #[must_use]
    pub fn overlapping() -> Self {
        Self { overlap: Some(Box::default()), ..Self::default() }
    }

    /// How many different rows came.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The number of the page to read next; `None` at the end.
    pub(super) fn number(&self) -> Option<u32> {
        (!self.done).then_some(self.number)
    }

    pub(super) fn ask(&self, limit: u32) -> Option<Ask> {
        let number = self.number()?;
        let (number, limit) = self.overlap.as_ref().map_or((number, limit), |overlap| overlap.ask(limit));
        Some(Ask::Number { number, limit })
    }

    #[expect(clippy::unnecessary_wraps, reason = "the same shape as the other rungs")]
    pub(super) fn take(&mut self, page: &Page, limit: u32) -> Result<(), Broken> {
        let ends = page.last == Some(true);
        match self.overlap.take() {
            Some(overlap) => self.join(overlap, page, limit, ends),
            None => self.read(page, ends),
        }
        Ok(())
    }

    /// Takes a page that is to overlap with the one before it.
    fn join(&mut self, mut overlap: Box<Overlap>, page: &Page, limit: u32, ends: bool) {
        let (number, _) = overlap.ask(limit);
        self.moved |= overlap.is_taken_over();
        let joint = overlap.take(page, limit, ends && !page.records.is_empty());
        // Page by page, then, as the server has them.
        if joint == Joint::Unfit && self.number <= 2 {
            self.number = number;
            self.read(page, ends);
            return;
        }
        let rows: Vec<i64> = page.records.iter().map(identity).collect();
        for (row, record) in rows.iter().zip(&page.records) {
            self.in_round.insert(*row);
            self.new_in_round |= self.rows.insert(*row) && (record.key.is_none() || !self.for_rest);
        }
        if joint == Joint::Unfit {
            // What came after the first two requests was asked for by other sizes, or not in turn, so it tells nothing of
            // where the server's own pages begin.
            (self.number, self.moved, self.useless) = (1, true, 0);
            self.in_round.clear();
            self.page_before.clear();
            return;
        }
        self.page_before = rows;
        self.number = self.number.saturating_add(1);
        self.overlap = Some(overlap);
        if joint == Joint::End {
            self.overlap = Some(Box::default());
            self.end_of_round();
        }
    }

    /// Takes a page. `ends`: it is the last of its round.
    pub(super) fn read(&mut self, page: &Page, ends: bool) {
        self.alone |= page.alone;
        let rows: Vec<i64> = page.records.iter().map(identity).collect();
        // A round that this process did not begin may have a gap where it was left.
        self.moved |= self.number > 1 && self.in_round.is_empty();
        self.moved |= page.total.is_some() && self.total.is_some() && page.total != self.total && !rows.is_empty();
        self.total = page.total.or(self.total);
        let (mut new, mut repeated) = (false, false);
        for (row, record) in rows.iter().zip(&page.records) {
            let first = self.in_round.insert(*row);
            (new, repeated) = (new | first, repeated | !first);
            self.new_in_round |= self.rows.insert(*row) && (record.key.is_none() || !self.for_rest);
        }
        let same_again = !rows.is_empty() && rows == self.page_before;
        let first_again = !new && !rows.is_empty() && rows.len() >= self.page_before.len();
        self.ignored |= self.round == 1 && self.number == 2 && first_again;
        self.useless = if new { 0 } else { self.useless + 1 };
        self.page_before = rows;
        if self.page_before.is_empty() || same_again || self.ignored {
            self.end_of_round();
            return;
        }
        self.moved |= repeated;
        if ends || self.useless >= MOST_USELESS {
            self.end_of_round();
        } else {
            self.number = self.number.saturating_add(1);
        }
    }

    fn end_of_round(&mut self) {
        let again = self.moved && (self.new_in_round || self.round == 1 && !self.for_rest);
        if again && self.round < MOST_ROUNDS && !self.ignored {
            (self.number, self.round, self.moved, self.total) = (1, self.round + 1, false, None);
            self.in_round.clear();
            self.page_before.clear();
            (self.new_in_round, self.useless) = (false, 0);
        } else {
            self.done = true;
        }
    }
}

/// What tells a row from others: its id, or all of it where it has none.
fn identity(record: &RawRecord) -> i64 {
    short(record.id.as_deref().unwrap_or_else(|| record.json.get()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::page;
    use super::*;

    /// Reads the pages; gives the walk and how many it asked for.
    fn walk(pages: &[&[i64]]) -> (Pages, usize) {
        let mut walk = Pages::default();
        for (asked, keys) in pages.iter().enumerate() {
            if walk.ask(2).is_none() {
                return (walk, asked);
            }
            walk.take(&page(keys), 2).unwrap();
        }
        assert_eq!(walk.ask(2), None);
        (walk, pages.len())
    }

    #[test]
    fn a_short_page_is_not_taken_for_the_end() {
        assert_eq!(walk(&[&[1, 2], &[3], &[4], &[]]).1, 4);
    }

    #[test]
    fn a_server_that_ignores_the_page_number_is_asked_twice() {
        let (walk, asked) = walk(&[&[1, 2, 3], &[1, 2, 3], &[9]]);
        assert_eq!((asked, walk.ignored, walk.rows()), (2, true, 3));
    }

    #[test]
    fn a_list_that_is_always_its_first_rows_is_soon_left() {
        let rows: Vec<i64> = (0..300).collect();
        let (mut walk, mut asked) = (Pages::overlapping(), 0);
        while let Some(Ask::Number { limit, .. }) = walk.ask(100) {
            walk.take(&page(&rows[..limit as usize]), 100).unwrap();
            asked += 1;
            assert!(asked < 10);
        }
        assert_eq!((asked, walk.ignored, walk.rows()), (6, true, 100));
    }

    /// Reads a list by overlapping pages of 100 at the most: `places` says which rows come as page `number` of `size`, and
    /// every row that `differs` is another one in each answer. Gives the walk and how many pages it asked for.
    fn overlapping(
        places: impl Fn(usize, usize) -> std::ops::Range<usize>,
        differs: impl Fn(i64) -> bool,
        of: usize,
    ) -> (Pages, usize) {
        let (mut walk, mut asked) = (Pages::overlapping(), 0);
        while let Some(Ask::Number { number, limit }) = walk.ask(100) {
            let places = places(number as usize, limit as usize);
            let rows: Vec<i64> =
                places.filter(|place| *place < of).map(|place| i64::try_from(place).unwrap()).collect();
            let mut page = page(&rows);
            let signed = page.records.iter_mut().filter(|record| differs(record.key.unwrap()));
            for record in signed {
                record.json = serde_json::value::RawValue::from_string(format!(r#"{{"signed":{asked}}}"#)).unwrap();
            }
            walk.take(&page, 100).unwrap();
            asked += 1;
            assert!(asked < 1000, "no end");
        }
        (walk, asked)
    }

    /// The rows of a page, as they should be.
    fn honest(number: usize, size: usize) -> std::ops::Range<usize> {
        (number - 1) * size..number * size
    }

    #[test]
    fn rows_that_differ_in_every_answer_are_known_by_their_ids() {
        for differs in [|_| true, |place| place % 3 == 0, |place| place == 99] {
            let (walk, asked) = overlapping(honest, differs, 1000);
            assert_eq!((walk.rows(), walk.ignored), (1000, false));
            assert!(asked <= 20, "{asked} requests for 10 pages");
        }
    }

    #[test]
    fn page_numbers_that_do_not_count_the_size_asked_for_are_followed_as_they_are() {
        let (walk, asked) = overlapping(|number, size| (number - 1) * 100..(number - 1) * 100 + size, |_| false, 1000);
        assert_eq!((walk.rows(), walk.ignored), (1000, false));
        assert!(asked <= 30, "{asked} requests for 10 pages, twice");
    }

    #[test]
    fn a_list_that_never_joins_is_read_from_its_first_page_on() {
        let (mut walk, mut asked) = (Pages::overlapping(), Vec::new());
        while let Some(Ask::Number { number, limit }) = walk.ask(10) {
            let mut page = page(&vec![0; honest(number as usize, limit as usize).filter(|place| *place < 25).count()]);
            for (row, record) in page.records.iter_mut().enumerate() {
                let json = format!(r#"{{"signed":"{}, {row}"}}"#, asked.len());
                (record.id, record.json) = (None, serde_json::value::RawValue::from_string(json).unwrap());
            }
            walk.take(&page, 10).unwrap();
            asked.push((number, limit));
            assert!(asked.len() < 200, "no end");
        }
        let edge_to_edge = asked.iter().rposition(|(_, limit)| *limit < 10).unwrap() + 1;
        assert!(asked[edge_to_edge..].starts_with(&[(1, 10), (2, 10), (3, 10), (4, 10)]), "{asked:?}");
    }

    #[test]
    fn a_server_that_cannot_count_beyond_some_page_is_soon_left() {
        for differs in [|_| false, |_| true] {
            let (walk, asked) = overlapping(|number, size| honest(number.min(3), size), differs, 250);
            assert_eq!((walk.rows(), walk.ignored), (250, false));
            assert!(asked <= 20, "{asked} requests for 3 pages");
        }
    }

    #[test]
    fn pages_without_a_new_row_come_to_an_end_whatever_their_length() {
        for length in [100, 60] {
            let beyond =
                |number: usize, size: usize| if number > 3 { 13..13 + size.min(length) } else { honest(number, size) };
            let (walk, asked) = overlapping(beyond, |_| false, 250);
            assert_eq!((walk.rows(), walk.ignored), (250, false));
            assert!(asked <= 45, "{asked} requests for 3 pages");
        }
    }

    #[test]
    fn a_second_page_of_rows_that_moved_down_is_no_sign_that_its_number_is_ignored() {
        // 9 came in at the front.
        assert_eq!(walk(&[&[1, 2], &[2], &[], &[9, 1], &[2], &[]]).1, 6);
    }

    #[test]
    fn a_server_that_repeats_its_last_page_for_ever_is_left_at_once() {
        assert_eq!(walk(&[&[1, 2], &[3, 4], &[3, 4], &[9]]).1, 3);
    }

    #[test]
    fn a_page_that_says_it_is_the_last_is_the_last() {
        let mut walk = Pages::default();
        walk.take(&Page { last: Some(true), ..page(&[1]) }, 2).unwrap();
        assert_eq!(walk.ask(2), None);
    }

    #[test]
    fn a_row_that_comes_twice_shows_that_the_list_moved_and_it_is_read_again() {
        // 9 came in at the front; the second round is quiet.
        assert_eq!(walk(&[&[1, 2], &[2, 3], &[], &[9, 1], &[2, 3], &[]]).1, 6);
        // The second round moved too, and brought nothing new.
        assert_eq!(walk(&[&[1, 2], &[2, 3], &[], &[1, 2], &[2, 3], &[]]).1, 6);
    }

    #[test]
    fn a_page_full_of_rows_that_came_before_is_not_the_end() {
        // Two rows came in at the front: page 3 is what page 2 was, but for its order.
        assert_eq!(walk(&[&[1, 2], &[3, 4], &[4, 3], &[5], &[], &[8, 9], &[1, 2], &[3, 4], &[5], &[]]).1, 10);
    }

    #[test]
    fn another_total_shows_that_the_list_moved() {
        let mut walk = Pages::default();
        walk.take(&Page { total: Some(4), ..page(&[1, 2]) }, 2).unwrap();
        walk.take(&Page { total: Some(3), last: Some(true), ..page(&[4]) }, 2).unwrap();
        assert_eq!(walk.ask(2), Some(Ask::Number { number: 1, limit: 2 }));
    }

    #[test]
    fn a_list_that_never_rests_is_read_a_few_times() {
        let mut walk = Pages::default();
        let (mut asked, mut fresh) = (0, 100);
        while walk.ask(2).is_some() {
            fresh += 1;
            walk.take(&Page { last: Some(asked % 2 == 1), ..page(&[1, fresh]) }, 2).unwrap();
            asked += 1;
            assert!(asked < 50);
        }
        assert_eq!(asked, 2 * MOST_ROUNDS);
    }

    #[test]
    fn a_killed_walk_goes_on_and_reads_one_more_round() {
        let mut walk = Pages::default();
        walk.take(&page(&[1, 2]), 2).unwrap();
        let mut walk: Pages = serde_json::from_str(&serde_json::to_string(&walk).unwrap()).unwrap();
        assert_eq!(walk.ask(2), Some(Ask::Number { number: 2, limit: 2 }));
        walk.take(&page(&[3]), 2).unwrap();
        walk.take(&page(&[]), 2).unwrap();
        assert_eq!(walk.ask(2), Some(Ask::Number { number: 1, limit: 2 }));
    }
}
