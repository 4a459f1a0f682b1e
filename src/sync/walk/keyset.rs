//! Keyset walks: ask for what is greater than the greatest key read. Nothing inserted, deleted or touched
//! meanwhile can shift rows past such a reader, because it never counts positions.

use serde::{Deserialize, Serialize};

use super::{Broken, Promise, ends_here, keys};
use crate::provider::{Ask, Page};

/// A walk along an immutable, growing id.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Keyset {
    after: Option<i64>,
    done: bool,
    /// The end was told by an answer without rows, which alone proves nothing.
    #[serde(default)]
    pub(crate) ended_on_nothing: bool,
    #[serde(default)]
    promise: Promise,
}

impl Keyset {
    /// Starts behind `after`, or at the very beginning.
    #[must_use]
    pub fn after(after: Option<i64>) -> Self {
        Self { after, done: false, ended_on_nothing: false, promise: Promise::None }
    }

    pub(super) fn ask(&self, limit: u32) -> Option<Ask> {
        (!self.done).then_some(Ask::After { after: self.after, token: None, limit })
    }

    pub(super) fn newest(&self) -> Option<i64> {
        self.after
    }

    /// Whether the provider itself said that there is more than it then gave.
    pub(crate) fn is_contradicted(&self) -> bool {
        self.promise == Promise::Broken
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
                self.promise = Promise::after(page);
                self.done = ends_here(page);
            }
            None if page.records.is_empty() && self.promise.doubts() => {}
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
    fn an_empty_answer_after_a_promise_of_more_is_asked_for_again_and_then_doubted() {
        let promising = |keys: &[i64], total| Page { total: Some(total), last: Some(false), ..page(keys) };
        let mut walk = Keyset::after(None);
        walk.take(&promising(&[1, 2], 5)).unwrap();
        walk.take(&page(&[])).unwrap();
        assert_eq!(walk.ask(2), Some(Ask::After { after: Some(2), token: None, limit: 2 }));
        let mut healed = walk.clone();
        healed.take(&promising(&[3, 4, 5], 3)).unwrap();
        healed.take(&page(&[])).unwrap();
        assert!(healed.ask(2).is_none() && !healed.is_contradicted());
        walk.take(&page(&[])).unwrap();
        assert!(walk.ask(2).is_none() && walk.is_contradicted() && walk.ended_on_nothing);
    }

    #[test]
    fn an_ignored_filter_or_order_is_noticed() {
        assert_eq!(Keyset::after(Some(5)).take(&page(&[5, 6])), Err(Broken::Filter));
        assert_eq!(Keyset::after(None).take(&page(&[2, 1])), Err(Broken::Order));
    }
}
