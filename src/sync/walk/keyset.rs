//! Keyset walks: ask for what is greater than the greatest key read. Nothing inserted, deleted or touched
//! meanwhile can shift rows past such a reader, because it never counts positions.

use serde::{Deserialize, Serialize};

use super::{Broken, ends_here, keys};
use crate::provider::{Ask, Page};

/// A walk along an immutable, growing id.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Keyset {
    after: Option<i64>,
    done: bool,
    /// The end was told by an answer without rows, which alone proves nothing.
    #[serde(default)]
    pub(crate) ended_on_nothing: bool,
}

impl Keyset {
    /// Starts behind `after`, or at the very beginning.
    #[must_use]
    pub fn after(after: Option<i64>) -> Self {
        Self { after, done: false, ended_on_nothing: false }
    }

    pub(super) fn ask(&self, limit: u32) -> Option<Ask> {
        (!self.done).then_some(Ask::After { after: self.after, token: None, limit })
    }

    pub(super) fn newest(&self) -> Option<i64> {
        self.after
    }

    pub(super) fn take(&mut self, page: &Page) -> Result<(), Broken> {
        let mut last = None;
        for key in keys(page) {
            if self.after.is_some_and(|after| key <= after) {
                return Err(Broken::Filter);
            }
            if last.is_some_and(|last| key < last) {
                return Err(Broken::Order);
            }
            last = Some(key);
        }
        match last {
            Some(last) => {
                self.after = Some(last);
                self.done = ends_here(page);
            }
            None if page.records.is_empty() => {
                self.done = true;
                self.ended_on_nothing = self.after.is_some();
            }
            // Rows, but none with a readable id: there is nothing to go on from.
            None if ends_here(page) => self.done = true,
            None => return Err(Broken::Stalled),
        }
        Ok(())
    }
}

/// A walk along a modification time, from a time on. Several rows may share one time, so bounds are inclusive,
/// and a page that is all one time is continued by the server's own token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Changes {
    from: i64,
    token: Option<String>,
    newest: Option<i64>,
    done: bool,
    #[serde(default)]
    pub(crate) ended_on_nothing: bool,
}

impl Changes {
    /// Starts at `from`, inclusive.
    #[must_use]
    pub fn from(from: i64) -> Self {
        Self { from, token: None, newest: None, done: false, ended_on_nothing: false }
    }

    pub(super) fn ask(&self, limit: u32) -> Option<Ask> {
        (!self.done).then(|| Ask::After { after: Some(self.from), token: self.token.clone(), limit })
    }

    pub(super) fn newest(&self) -> Option<i64> {
        self.newest
    }

    pub(super) fn take(&mut self, page: &Page) -> Result<(), Broken> {
        let mut last = None;
        for key in keys(page) {
            if key < self.from {
                return Err(Broken::Filter);
            }
            if last.is_some_and(|last| key < last) {
                return Err(Broken::Order);
            }
            last = Some(key);
        }
        if page.records.is_empty() {
            self.done = true;
            self.ended_on_nothing = self.newest.is_none();
            return Ok(());
        }
        self.newest = self.newest.max(last);
        if ends_here(page) {
            self.done = true;
        } else if let Some(last) = last.filter(|last| *last > self.from) {
            self.from = last;
            self.token = None;
        } else if page.next.is_some() && page.next != self.token {
            self.token.clone_from(&page.next);
        } else {
            return Err(Broken::Stalled);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::page;
    use super::*;

    #[test]
    fn a_keyset_walk_goes_from_key_to_key_until_nothing_is_left() {
        let mut walk = Keyset::after(None);
        assert_eq!(walk.ask(2), Some(Ask::After { after: None, token: None, limit: 2 }));
        walk.take(&page(&[1, 5])).unwrap();
        assert_eq!(walk.ask(2), Some(Ask::After { after: Some(5), token: None, limit: 2 }));
        walk.take(&page(&[9])).unwrap();
        walk.take(&page(&[])).unwrap();
        assert_eq!(walk.ask(2), None);
        assert!(walk.ended_on_nothing);
        assert_eq!(walk.newest(), Some(9));
    }

    #[test]
    fn a_last_page_that_contradicts_its_own_total_is_not_believed() {
        let mut walk = Keyset::after(None);
        let mut short = page(&[1, 2]);
        (short.last, short.total) = (Some(true), Some(3));
        walk.take(&short).unwrap();
        assert!(walk.ask(100).is_some());
        short = page(&[3]);
        (short.last, short.total) = (Some(true), Some(1));
        walk.take(&short).unwrap();
        assert_eq!(walk.ask(100), None);
    }

    #[test]
    fn an_ignored_filter_or_order_is_noticed() {
        assert_eq!(Keyset::after(Some(5)).take(&page(&[5, 6])), Err(Broken::Filter));
        assert_eq!(Keyset::after(None).take(&page(&[2, 1])), Err(Broken::Order));
        assert_eq!(Changes::from(10).take(&page(&[9])), Err(Broken::Filter));
        assert_eq!(Changes::from(10).take(&page(&[12, 11])), Err(Broken::Order));
    }

    #[test]
    fn more_rows_of_one_second_than_a_page_holds_are_read_by_token() {
        let mut walk = Changes::from(10);
        let mut full = page(&[10, 10]);
        full.next = Some("two".to_owned());
        walk.take(&full).unwrap();
        assert_eq!(walk.ask(2), Some(Ask::After { after: Some(10), token: Some("two".to_owned()), limit: 2 }));
        assert_eq!(walk.clone().take(&full), Err(Broken::Stalled));
        walk.take(&page(&[10, 11])).unwrap();
        assert_eq!(walk.ask(2), Some(Ask::After { after: Some(11), token: None, limit: 2 }));
    }
}
