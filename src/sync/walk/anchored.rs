//! Anchored walks: pages that are positions handed out as opaque tokens, in a list that keeps its order. The seams
//! between them are proven by reading again: see [`super::seam`].

use serde::{Deserialize, Serialize};

use super::seam::{Seam, Step};
use super::{Broken, keys};
use crate::provider::{Ask, Page};

/// Tokens of joined pages that are kept: so many pages can go away between two requests before the walk gives up.
const TRAIL: usize = 64;

/// A walk along the list's own order, by page tokens.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Anchored {
    /// Asked with every page: rows at or after this key, or all of them.
    after: Option<i64>,
    seam: Seam,
    /// Tokens of the pages joined last, newest last. Page 1 has none.
    trail: Vec<Option<String>>,
    /// The token of the next page ahead.
    token: Option<String>,
    /// The token that the page ahead named as the one to follow it.
    following: Option<String>,
    newest: Option<i64>,
    /// The page size of the tokens: another size has other positions.
    size: Option<u32>,
    done: bool,
    /// Reading goes on where an earlier walk ended, and what stood there may have gone away.
    rejoined: bool,
    /// When the walk began, for lists in order of time.
    began_ms: Option<i64>,
    #[serde(skip)]
    started_over: bool,
}

impl Anchored {
    /// The whole list. `began_ms`: now, where its keys are times.
    #[must_use]
    pub fn whole(began_ms: Option<i64>) -> Self {
        Self { began_ms, ..Self::default() }
    }

    /// The rows at or after a key.
    #[must_use]
    pub(super) fn from(after: i64) -> Self {
        Self { after: Some(after), ..Self::default() }
    }

    /// Whether the end was reached.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Goes on at the end of a walk that is done, at a later time: what came since lies behind it. Where keys are
    /// times, rows from `floor` on are read again.
    pub fn go_on(&mut self, floor: Option<i64>, now_ms: Option<i64>) {
        self.token = self.trail.pop().flatten();
        self.following = None;
        self.seam.reopen(floor);
        (self.done, self.rejoined, self.began_ms) = (false, true, now_ms);
        if self.trail.is_empty() && self.seam.joined() > 0 {
            self.begin_anew();
        }
    }

    /// Forgets every position, once: the server no longer takes its tokens, or the ground is not found again.
    pub(super) fn start_over(&mut self) -> bool {
        let worthwhile = !std::mem::replace(&mut self.started_over, true) && self.size.is_some();
        if worthwhile {
            self.begin_anew();
        }
        worthwhile
    }

    fn begin_anew(&mut self) {
        *self = Self {
            after: self.after,
            newest: self.newest,
            began_ms: self.began_ms,
            started_over: self.started_over,
            ..Self::default()
        };
    }

    pub(super) fn newest(&self) -> Option<i64> {
        self.newest
    }

    pub(super) fn began_ms(&self) -> Option<i64> {
        self.began_ms
    }

    /// The greatest key up to which nothing is missing.
    pub(super) fn upto(&self) -> Option<i64> {
        self.seam.upto()
    }

    pub(super) fn ask(&self, limit: u32) -> Option<Ask> {
        let token = match self.size {
            Some(size) if size != limit => None,
            _ => self.token_to_ask(),
        };
        (!self.done).then_some(Ask::After { after: self.after, token, limit })
    }

    fn token_to_ask(&self) -> Option<String> {
        if self.seam.goes_ahead() { self.token.clone() } else { self.in_trail().cloned().flatten() }
    }

    /// The token of the page to read again, unless it was so long ago that it is forgotten.
    fn in_trail(&self) -> Option<&Option<String>> {
        let back = self.seam.joined().checked_sub(self.seam.number())? as usize;
        self.trail.iter().rev().nth(back)
    }

    pub(super) fn take(&mut self, page: &Page, limit: u32) -> Result<(), Broken> {
        if self.size.is_some_and(|size| size != limit) {
            self.begin_anew();
        }
        self.size = Some(limit);
        if !keys(page).is_sorted() {
            return Err(Broken::Order);
        }
        self.newest = self.newest.max(keys(page).max());
        if self.seam.goes_ahead() {
            let behind = keys(page).max().is_some_and(|last| self.seam.upto().is_some_and(|upto| last < upto));
            if behind && !self.rejoined {
                return Err(Broken::Order);
            }
            // A position without rows is behind the end, whatever token comes with it.
            self.following = page.next.clone().filter(|_| page.last != Some(true) && !page.records.is_empty());
            let circles = self.following.is_some() && self.following == self.token;
            if circles || self.seam.repeats(page) && !self.rejoined {
                return Err(Broken::Stalled);
            }
            self.rejoined = false;
        }
        let step = self.seam.take(page, true, self.following.is_none());
        if step == Step::Back {
            return if self.in_trail().is_some() || self.start_over() { Ok(()) } else { Err(Broken::Shrinking) };
        }
        self.trail.push(self.token.take());
        if self.trail.len() > TRAIL {
            self.trail.remove(0);
        }
        self.token = self.following.take();
        self.done = step == Step::End;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::page;
    use super::*;

    /// The page at a position, as a provider whose tokens are page numbers answers.
    fn answer(rows: &[i64], ask: &Ask) -> Page {
        let Ask::After { after: None, token, limit } = ask else { panic!("not asked by this rung: {ask:?}") };
        let number: usize = token.as_deref().map_or(1, |token| token.parse().unwrap());
        let size = *limit as usize;
        let shown: Vec<i64> = rows.iter().copied().skip((number - 1) * size).take(size).collect();
        let more = rows.len() > number * size;
        Page { next: more.then(|| (number + 1).to_string()), last: Some(!more), ..page(&shown) }
    }

    fn step(walk: &mut Anchored, rows: &[i64]) -> Vec<i64> {
        let page = answer(rows, &walk.ask(2).unwrap());
        walk.take(&page, 2).unwrap();
        keys(&page).collect()
    }

    #[test]
    fn a_list_of_one_page_is_one_request() {
        let mut walk = Anchored::whole(None);
        step(&mut walk, &[1, 2]);
        assert_eq!((walk.ask(2), walk.newest()), (None, Some(2)));
    }

    #[test]
    fn every_seam_is_looked_at_once() {
        let mut walk = Anchored::whole(None);
        let rows = [1, 2, 3, 4, 5];
        let read: Vec<Vec<i64>> = (0..5).map(|_| step(&mut walk, &rows)).collect();
        assert_eq!(read, [vec![1, 2], vec![3, 4], vec![1, 2], vec![5], vec![3, 4]]);
        assert_eq!(walk.ask(2), None);
    }

    #[test]
    fn a_row_that_moved_down_past_the_reader_is_met_in_the_page_before() {
        let mut walk = Anchored::whole(None);
        step(&mut walk, &[1, 2, 3, 4, 5]);
        // 1 is removed: page 2 is 4 and 5 now, and 3 is on page 1.
        assert_eq!(step(&mut walk, &[2, 3, 4, 5]), [4, 5]);
        assert_eq!(step(&mut walk, &[2, 3, 4, 5]), [2, 3]);
        assert_eq!(walk.ask(2), None);
    }

    #[test]
    fn an_end_that_moved_down_is_found() {
        let mut walk = Anchored::whole(None);
        step(&mut walk, &[1, 2, 3]);
        assert_eq!(step(&mut walk, &[2, 3]), [] as [i64; 0]);
        assert_eq!(step(&mut walk, &[2, 3]), [2, 3]);
        assert_eq!((walk.ask(2), walk.newest()), (None, Some(3)));
    }

    #[test]
    fn a_killed_walk_goes_on_where_it_was() {
        let mut walk = Anchored::whole(None);
        step(&mut walk, &[1, 2, 3, 4, 5]);
        step(&mut walk, &[1, 2, 3, 4, 5]);
        let saved = serde_json::to_string(&walk).unwrap();
        let mut walk: Anchored = serde_json::from_str(&saved).unwrap();
        assert_eq!(step(&mut walk, &[1, 2, 3, 4, 5]), [1, 2]);
        step(&mut walk, &[1, 2, 3, 4, 5]);
        step(&mut walk, &[1, 2, 3, 4, 5]);
        assert_eq!(walk.ask(2), None);
    }

    #[test]
    fn the_next_pass_reads_the_end_alone() {
        let mut walk = Anchored::whole(None);
        while walk.ask(2).is_some() {
            step(&mut walk, &[1, 2, 3, 4, 5]);
        }
        walk.go_on(None, None);
        assert_eq!(step(&mut walk, &[1, 2, 3, 4, 5]), [5]);
        assert_eq!(walk.ask(2), None);
        walk.go_on(None, None);
        assert_eq!(step(&mut walk, &[1, 2, 3, 4, 5, 6, 7]), [5, 6]);
        assert_eq!(step(&mut walk, &[1, 2, 3, 4, 5, 6, 7]), [7]);
        assert_eq!(step(&mut walk, &[1, 2, 3, 4, 5, 6, 7]), [5, 6]);
        assert_eq!(walk.ask(2), None);
    }

    #[test]
    fn an_end_that_was_removed_between_two_passes_is_no_riddle() {
        let mut walk = Anchored::whole(None);
        while walk.ask(2).is_some() {
            step(&mut walk, &[1, 2, 3, 4, 5]);
        }
        walk.go_on(None, None);
        assert_eq!(step(&mut walk, &[1, 2, 9]), [] as [i64; 0]);
        assert_eq!(step(&mut walk, &[1, 2, 9]), [9]);
        assert_eq!(step(&mut walk, &[1, 2, 9]), [1, 2]);
        assert_eq!((walk.ask(2), walk.newest()), (None, Some(9)));
    }

    #[test]
    fn rows_of_the_lookback_are_read_again() {
        let mut walk = Anchored::whole(Some(50));
        while walk.ask(2).is_some() {
            step(&mut walk, &[10, 20, 30, 40, 45]);
        }
        walk.go_on(Some(25), Some(60));
        let read: Vec<Vec<i64>> = (0..3).map(|_| step(&mut walk, &[10, 20, 26, 30, 40, 45])).collect();
        assert_eq!(read, [vec![40, 45], vec![26, 30], vec![10, 20]]);
        assert_eq!((walk.ask(2), walk.began_ms()), (None, Some(60)));
    }

    #[test]
    fn another_page_size_begins_anew() {
        let mut walk = Anchored::whole(None);
        step(&mut walk, &[1, 2, 3, 4, 5]);
        assert_eq!(walk.ask(1), Some(Ask::After { after: None, token: None, limit: 1 }));
        walk.take(&answer(&[1, 2, 3], &walk.ask(1).unwrap()), 1).unwrap();
        assert_eq!(walk.ask(1), Some(Ask::After { after: None, token: Some("2".to_owned()), limit: 1 }));
    }

    #[test]
    fn a_list_that_is_not_in_order_is_noticed() {
        assert_eq!(Anchored::whole(None).take(&page(&[2, 1]), 2), Err(Broken::Order));
        let mut walk = Anchored::whole(None);
        walk.take(&Page { next: Some("2".to_owned()), ..page(&[8, 9]) }, 2).unwrap();
        assert_eq!(walk.take(&page(&[1, 2]), 2), Err(Broken::Order));
    }

    #[test]
    fn a_server_that_sends_the_first_page_again_is_noticed() {
        let mut walk = Anchored::whole(None);
        let first = Page { next: Some("2".to_owned()), ..page(&[8, 9]) };
        walk.take(&first, 2).unwrap();
        assert_eq!(walk.take(&first, 2), Err(Broken::Stalled));
    }
}
