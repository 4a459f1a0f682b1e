//! Numbered pages that overlap: page sizes are chosen so that every page begins within the ground that is covered.
//!
//! A page number counts whole pages, so it cannot be moved back by a row or two. Page size and number together can:
//! page 3 of 98 rows begins at row 196, where the first two pages of 100 and 99 rows have reached row 198. A page is
//! joined only if its first row was met before, as it stands: then nothing lies between the two. Where rows went away
//! meanwhile the page begins too far on, and the walk steps back until one joins; page 1 always does.
//!
//! In some lists a row never stands as it did, because a field of it is another one in every answer (a signed address).
//! There its id has to do.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::short;
use crate::model::RawRecord;
use crate::provider::Page;

/// So many pages that do not join are enough: the list has no order that could be relied on.
const MOST_RETREATS: u32 = 64;

/// So often the same row at the same place where a page does not join is no row that moved: either it never stands as it
/// did, or page numbers do not count pages of the size asked for.
const SAME_MISFIT: u32 = 3;

/// So often in a row one and the same page where later ones were asked for is no chance: rows that came in may have moved
/// it just so far down once.
const ALWAYS_THE_SAME: u32 = 3;

/// So many pages in a row that bring nothing new are no list that is read: it is one that stands still.
const MOST_IDLE: u32 = 25;

/// How far a walk of overlapping pages has come.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Overlap {
    /// Positions from the front of the list that are covered.
    covered: u64,
    begun: bool,
    retreats: u32,
    /// Rows of this round, by id. Not saved: the first page after a kill is joined unseen, and the caller reads another
    /// round.
    #[serde(skip)]
    seen: HashMap<i64, Met>,
    /// How often a page that began at this place with this row did not join.
    #[serde(skip)]
    misfits: HashMap<(u64, i64), u32>,
    /// Rows differ in every answer, so that a row is known by its id.
    #[serde(default)]
    by_id: bool,
    /// Pages without anything new, in a row.
    #[serde(default)]
    idle: u32,
    /// The page that came instead of a later one, counted from 0, and how often in a row.
    #[serde(skip)]
    instead: (Option<u64>, u32),
}

/// A row of an answer: short forms of its id and of all of it.
#[derive(Debug, Clone, Copy)]
struct Row {
    id: i64,
    stands: i64,
}

/// A row that was met.
#[derive(Debug, Clone, Copy)]
struct Met {
    /// As it stood the last time. A row that was touched is another row: it may have moved.
    stands: i64,
    /// Where in the list it was met first.
    place: u64,
}

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Joint {
    /// The page carries on from covered ground.
    Joined,
    /// It does, and nothing follows.
    End,
    /// It begins too far on: the walk steps back.
    Apart,
    /// Pages of a size of our choice are not to be had here.
    Unfit,
}

impl Overlap {
    /// Number and size of the page to ask for.
    pub(super) fn ask(&self, limit: u32) -> (u32, u32) {
        let limit = limit.max(1);
        let of_size = |size: u32| {
            let number = self.covered.saturating_sub(1) / u64::from(size);
            (((number + 1) * u64::from(size)).saturating_sub(self.covered), number, size)
        };
        let best = (1..=limit).map(of_size).max().filter(|(gain, ..)| *gain > 0);
        // Small sizes all end at some positions together (up to 7 rows: at 420). There, pages lie edge to edge.
        let (number, size) = best.map_or((self.covered / u64::from(limit), limit), |(_, number, size)| (number, size));
        (u32::try_from(number + 1).unwrap_or(u32::MAX), size)
    }

    /// Takes the answer to [`Overlap::ask`] with the same `limit`. `ends`: the provider says that nothing follows.
    pub(super) fn take(&mut self, page: &Page, limit: u32, ends: bool) -> Joint {
        let (number, size) = self.ask(limit);
        let rows: Vec<Row> = page.records.iter().map(Row::of).collect();
        let (count, size) = (rows.len() as u64, u64::from(size));
        // A first page that is not full may be the whole list, or the most that the server gives at once.
        let capped = !self.begun && count < size && !ends;
        if count > size || capped {
            return Joint::Unfit;
        }
        self.begun = true;
        let offset = u64::from(number - 1) * size;
        let edge_to_edge = offset >= self.covered;
        let joins = match rows.first() {
            _ if edge_to_edge || offset == 0 => true,
            Some(first) => self.seen.is_empty() || self.knows(first),
            None => false,
        };
        if !joins && !self.joins_by_id(rows.first(), offset) {
            self.retreats += 1;
            self.covered = offset.saturating_sub(size / 2);
            return if self.is_hopeless(rows.first(), offset) { Joint::Unfit } else { Joint::Apart };
        }
        let new = rows.iter().any(|row| !self.knows(row));
        self.idle = if new { 0 } else { self.idle + 1 };
        if self.is_stuck(rows.first().filter(|_| !new), offset, size) || self.idle >= MOST_IDLE {
            return Joint::Unfit;
        }
        for (row, place) in rows.iter().zip(offset..) {
            self.seen.entry(row.id).or_insert(Met { stands: 0, place }).stands = row.stands;
        }
        let grown = offset + count > self.covered;
        self.covered = offset + count;
        if ends || !grown { Joint::End } else { Joint::Joined }
    }

    /// Whether a row was met before, as it stands.
    fn knows(&self, row: &Row) -> bool {
        self.seen.get(&row.id).is_some_and(|met| self.by_id || met.stands == row.stands)
    }

    /// Takes a page that does not join by its first row as it stands. Whether it does by that row's id: the row was met,
    /// and comes at this place again and again, so it has not moved.
    fn joins_by_id(&mut self, first: Option<&Row>, offset: u64) -> bool {
        let Some(first) = first else { return false };
        let times = self.misfits.entry((offset, first.id)).or_default();
        *times += 1;
        let joins = *times >= SAME_MISFIT && self.seen.contains_key(&first.id);
        self.by_id |= joins;
        joins
    }

    /// Whether stepping back leads nowhere. The walk passed the place of this row before it came back to it, so the row
    /// should have been met.
    fn is_hopeless(&self, first: Option<&Row>, offset: u64) -> bool {
        let times = first.and_then(|first| self.misfits.get(&(offset, first.id)));
        times.is_some_and(|times| *times >= SAME_MISFIT) || self.retreats > MOST_RETREATS
    }

    /// Takes the first row of a page without anything new. Whether the server gives as many rows as are asked for, but
    /// always those of one page (the first, or the last that it can count to), whatever later one is asked for.
    fn is_stuck(&mut self, first: Option<&Row>, offset: u64, size: u64) -> bool {
        let place = first.and_then(|first| self.seen.get(&first.id)).map(|met| met.place);
        let came = place.filter(|place| *place < offset && place.is_multiple_of(size)).map(|place| place / size);
        let (before, times) = self.instead;
        self.instead = match came {
            Some(_) if came == before => (came, times + 1),
            _ => (came, u32::from(came.is_some())),
        };
        self.instead.1 >= ALWAYS_THE_SAME
    }

    /// Whether another process began this round.
    pub(super) fn is_taken_over(&self) -> bool {
        self.begun && self.seen.is_empty()
    }
}

impl Row {
    fn of(record: &RawRecord) -> Self {
        let json = short(record.json.get());
        Self { id: record.id.as_deref().map_or(json, short), stands: json }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::testing::page;
    use super::*;

    fn answer(rows: &[i64], (number, size): (u32, u32)) -> Page {
        let (number, size) = (number as usize, size as usize);
        let shown: Vec<i64> = rows.iter().copied().skip((number - 1) * size).take(size).collect();
        page(&shown)
    }

    fn met(page: &Page) -> Vec<i64> {
        page.records.iter().filter_map(|record| record.key).collect()
    }

    #[test]
    fn every_page_begins_on_covered_ground_and_reaches_beyond_it() {
        for limit in [3, 7, 20, 100] {
            for covered in limit.max(2)..3000 {
                let walk = Overlap { covered: u64::from(covered), begun: true, ..Overlap::default() };
                let (number, size) = walk.ask(limit);
                let offset = (number - 1) * size;
                if (1..=limit).all(|size| covered % size == 0) {
                    assert_eq!((offset, size), (covered, limit), "no size bridges this place");
                    continue;
                }
                assert!(size <= limit && offset < covered, "{covered}: page {number} of {size}");
                assert!(offset + size > covered, "{covered}: page {number} of {size}");
            }
        }
    }

    #[test]
    fn a_quiet_list_costs_little_more_than_its_pages() {
        let rows: Vec<i64> = (0..10_000).collect();
        let (mut walk, mut asked, mut seen) = (Overlap::default(), 0, HashSet::new());
        loop {
            let page = answer(&rows, walk.ask(100));
            asked += 1;
            seen.extend(met(&page));
            if walk.take(&page, 100, false) == Joint::End {
                break;
            }
        }
        assert_eq!(seen.len(), rows.len());
        assert!(asked <= 120, "{asked} requests for 100 pages");
    }

    #[test]
    fn a_page_that_begins_too_far_on_is_left_for_one_that_joins() {
        let mut rows: Vec<i64> = (0..40).collect();
        let mut walk = Overlap::default();
        assert_eq!(walk.take(&answer(&rows, walk.ask(10)), 10, false), Joint::Joined);
        rows.drain(..5);
        assert_eq!(walk.take(&answer(&rows, walk.ask(10)), 10, false), Joint::Apart);
        let next = answer(&rows, walk.ask(10));
        assert!(met(&next).contains(&10), "{:?}", met(&next));
        assert_eq!(walk.take(&next, 10, false), Joint::Joined);
    }

    #[test]
    fn a_server_that_has_its_own_page_size_is_noticed() {
        let mut walk = Overlap::default();
        assert_eq!(walk.take(&page(&[1, 2]), 3, false), Joint::Unfit, "2 rows where 3 were asked for");
        let mut walk = Overlap::default();
        assert_eq!(walk.take(&page(&[1, 2, 3]), 3, false), Joint::Joined);
        assert_eq!(walk.take(&page(&[4, 5, 6]), 3, false), Joint::Unfit, "3 rows where 2 were asked for");
    }

    #[test]
    fn a_server_that_obeys_the_size_and_ignores_the_number_is_noticed() {
        let rows: Vec<i64> = (0..300).collect();
        let mut walk = Overlap::default();
        assert_eq!(walk.take(&answer(&rows, (1, 100)), 100, false), Joint::Joined);
        for joint in [Joint::Joined, Joint::Joined, Joint::Unfit] {
            let (_, size) = walk.ask(100);
            assert_eq!(walk.take(&answer(&rows, (1, size)), 100, false), joint);
        }
    }

    #[test]
    fn a_list_that_ends_within_its_first_page_is_one_request() {
        assert_eq!(Overlap::default().take(&page(&[1, 2]), 3, true), Joint::End);
    }
}
