//! Walks along a modification time. A touched row gets a later time and leaves for the end, where the walk meets it.

use serde::{Deserialize, Serialize};

use super::anchored::Anchored;
use super::{Broken, Promise, ends_here, keys, left_behind};
use crate::provider::{Ask, Page};

/// A walk along a modification time, from a time on.
///
/// Several rows may share one time, so bounds are inclusive, and a page that is all one time is continued by the
/// server's tokens. Those are positions, so their seams are proven.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Changes {
    from: i64,
    /// More rows share the time `from` than a page holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ties: Option<Anchored>,
    newest: Option<i64>,
    done: bool,
    began_ms: i64,
    #[serde(default)]
    pub(crate) ended_on_nothing: bool,
    #[serde(default)]
    promise: Promise,
    /// The page before, for when the list turns out to hold fewer rows behind it than it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Before>,
    /// The last place that was gone back to: it is left for good the next time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gone_back_to: Option<i64>,
}

/// Where a page began, what was the newest time then, and how many rows its list said to hold behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Before {
    from: i64,
    newest: Option<i64>,
    left: u64,
}

impl Changes {
    /// Starts at `from`, inclusive. `began_ms`: now.
    #[must_use]
    pub fn from(from: i64, began_ms: i64) -> Self {
        Self {
            from,
            ties: None,
            newest: None,
            done: false,
            began_ms,
            ended_on_nothing: false,
            promise: Promise::None,
            before: None,
            gone_back_to: None,
        }
    }

    pub(super) fn ask(&self, limit: u32) -> Option<Ask> {
        if self.done {
            return None;
        }
        match &self.ties {
            Some(ties) => ties.ask(limit),
            None => Some(Ask::After { after: Some(self.from), token: None, limit }),
        }
    }

    pub(super) fn newest(&self) -> Option<i64> {
        self.newest
    }

    pub(super) fn began_ms(&self) -> i64 {
        self.began_ms
    }

    /// Whether the provider itself said that there is more than it then gave.
    pub(crate) fn is_contradicted(&self) -> bool {
        self.promise == Promise::Broken
    }

    pub(super) fn start_over(&mut self) -> bool {
        self.ties.as_mut().is_some_and(Anchored::start_over)
    }

    pub(super) fn take(&mut self, page: &Page, limit: u32) -> Result<(), Broken> {
        if keys(page).any(|key| key < self.from) {
            return Err(Broken::Filter);
        }
        if !keys(page).is_sorted() {
            return Err(Broken::Order);
        }
        let last = keys(page).max();
        let (first_answer, newest_before) = (self.newest.is_none(), self.newest);
        if self.ties.is_some() {
            self.newest = self.newest.max(last);
            return self.take_ties(page, limit);
        }
        let too_few = self.before.zip(page.total).is_some_and(|(before, total)| total < before.left);
        if too_few && !page.records.is_empty() && self.go_back() {
            return Ok(());
        }
        self.newest = self.newest.max(last);
        if page.records.is_empty() {
            if self.promise.doubts() || self.is_contradicted() && self.go_back() {
                return Ok(());
            }
            self.done = true;
            self.ended_on_nothing = first_answer || self.is_contradicted();
            return Ok(());
        }
        self.promise = Promise::after(page);
        self.before = left_behind(page).map(|left| Before { from: self.from, newest: newest_before, left });
        if ends_here(page) {
            self.done = true;
        } else if let Some(last) = last.filter(|last| *last > self.from) {
            self.from = last;
        } else if page.next.is_some() {
            self.ties = Some(Anchored::from(self.from));
            self.before = None;
            return self.take_ties(page, limit);
        } else {
            return Err(Broken::Stalled);
        }
        Ok(())
    }

    /// Goes back to the page before, once: a row of it gave a wrong time and led past others, unless rows were removed.
    fn go_back(&mut self) -> bool {
        let Some(before) = self.before.take() else { return false };
        if self.gone_back_to.replace(before.from) == Some(before.from) {
            return false;
        }
        (self.from, self.newest, self.promise) = (before.from, before.newest, Promise::None);
        true
    }

    fn take_ties(&mut self, page: &Page, limit: u32) -> Result<(), Broken> {
        let Some(ties) = &mut self.ties else { return Ok(()) };
        ties.take(page, limit)?;
        if ties.is_done() {
            self.done = true;
        } else if let Some(upto) = ties.upto().filter(|upto| *upto > self.from) {
            self.from = upto;
            self.ties = None;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::page;
    use super::*;

    fn rows(ids: &[(i64, i64)], next: Option<&str>) -> Page {
        let mut page = page(&ids.iter().map(|(_, key)| *key).collect::<Vec<_>>());
        for (record, (id, _)) in page.records.iter_mut().zip(ids) {
            record.id = Some(id.to_string());
        }
        page.next = next.map(str::to_owned);
        page.last = Some(next.is_none());
        page
    }

    fn after(after: i64, token: Option<&str>) -> Option<Ask> {
        Some(Ask::After { after: Some(after), token: token.map(str::to_owned), limit: 2 })
    }

    #[test]
    fn an_ignored_filter_or_order_is_noticed() {
        assert_eq!(Changes::from(10, 99).take(&page(&[9]), 2), Err(Broken::Filter));
        assert_eq!(Changes::from(10, 99).take(&page(&[12, 11]), 2), Err(Broken::Order));
    }

    #[test]
    fn each_page_begins_where_the_one_before_it_ended() {
        let mut walk = Changes::from(10, 99);
        walk.take(&rows(&[(1, 10), (2, 11)], Some("two")), 2).unwrap();
        assert_eq!(walk.ask(2), after(11, None));
        walk.take(&Page { total: Some(1), ..rows(&[(2, 11)], None) }, 2).unwrap();
        assert_eq!((walk.ask(2), walk.newest()), (None, Some(11)));
    }

    #[test]
    fn a_time_that_led_past_rows_is_noticed_by_their_number() {
        let of = |total, page: Page| Page { total: Some(total), ..page };
        let mut walk = Changes::from(10, 99);
        walk.take(&of(5, rows(&[(1, 10), (2, 11)], Some("two"))), 2).unwrap();
        // Row 3 says 90, and nothing lies there.
        walk.take(&of(4, rows(&[(2, 11), (3, 90)], Some("two"))), 2).unwrap();
        assert_eq!((walk.ask(2), walk.newest()), (after(90, None), Some(90)));
        walk.take(&of(0, rows(&[], None)), 2).unwrap();
        walk.take(&of(0, rows(&[], None)), 2).unwrap();
        assert_eq!((walk.ask(2), walk.newest()), (after(11, None), Some(11)), "the page before, once more");
        walk.take(&of(4, rows(&[(2, 11), (3, 12)], Some("two"))), 2).unwrap();
        walk.take(&of(3, rows(&[(3, 12), (4, 13)], Some("two"))), 2).unwrap();
        walk.take(&of(2, rows(&[(4, 13), (5, 14)], None)), 2).unwrap();
        assert_eq!((walk.ask(2), walk.newest(), walk.ended_on_nothing), (None, Some(14), false));
    }

    #[test]
    fn more_rows_of_one_second_than_a_page_holds_are_read_by_token_with_proven_seams() {
        let mut walk = Changes::from(10, 99);
        let first = rows(&[(1, 10), (2, 10)], Some("two"));
        walk.take(&first, 2).unwrap();
        assert_eq!(walk.ask(2), after(10, Some("two")));
        assert_eq!(walk.clone().take(&first, 2), Err(Broken::Stalled));
        walk.take(&rows(&[(4, 10), (5, 11)], Some("three")), 2).unwrap();
        // Row 1 was touched meanwhile, and row 3 moved down to the first page.
        assert_eq!(walk.ask(2), after(10, None));
        walk.take(&rows(&[(2, 10), (3, 10)], Some("two")), 2).unwrap();
        assert_eq!(walk.ask(2), after(11, None));
    }

    #[test]
    fn the_newest_second_may_hold_more_rows_than_a_page() {
        let mut walk = Changes::from(10, 99);
        let total = |page: Page| Page { total: Some(3), ..page };
        walk.take(&total(rows(&[(1, 10), (2, 10)], Some("two"))), 2).unwrap();
        walk.take(&total(rows(&[(3, 10)], None)), 2).unwrap();
        walk.take(&total(rows(&[(1, 10), (2, 10)], Some("two"))), 2).unwrap();
        assert_eq!(walk.ask(2), None);
        assert!(!walk.ended_on_nothing);
    }
}
