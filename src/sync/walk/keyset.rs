//! Keyset walks: ask for what is greater than the greatest key read. Nothing inserted, deleted or touched
//! meanwhile can shift rows past such a reader, because it never counts positions.

use serde::{Deserialize, Serialize};

use super::{Broken, Promise, ends_here, keys, left_behind};
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
    /// The page before, for when the list turns out to hold fewer rows behind it than it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Before>,
    /// The last place that was gone back to: it is left for good the next time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gone_back_to: Option<i64>,
}

/// Where a page began, and how many rows its list said to hold behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Before {
    after: Option<i64>,
    left: u64,
}

impl Keyset {
    /// Starts behind `after`, or at the very beginning.
    #[must_use]
    pub fn after(after: Option<i64>) -> Self {
        Self { after, ..Self::default() }
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

    fn holds_too_few(&self, page: &Page) -> bool {
        self.before.zip(page.total).is_some_and(|(before, total)| total < before.left)
    }

    /// Goes back to the page before, once.
    fn go_back(&mut self) -> bool {
        let Some(before) = self.before.take() else { return false };
        let place = before.after.unwrap_or(i64::MIN);
        if self.gone_back_to.replace(place) == Some(place) {
            return false;
        }
        (self.after, self.promise) = (before.after, Promise::None);
        true
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
            // Rows were removed meanwhile, or a row of the page before gave a wrong id and led past others.
            Some(_) if self.holds_too_few(page) && self.go_back() => {}
            Some(last) => {
                self.before = left_behind(page).map(|left| Before { after: self.after, left });
                self.after = Some(last);
                self.promise = Promise::after(page);
                self.done = ends_here(page);
            }
            None if page.records.is_empty() && self.promise.doubts() => {}
            None if page.records.is_empty() && self.is_contradicted() && self.go_back() => {}
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
        assert_eq!(walk.ask(2), Some(Ask::After { after: None, token: None, limit: 2 }), "the page before, once more");
        walk.take(&promising(&[1, 2], 5)).unwrap();
        walk.take(&page(&[])).unwrap();
        walk.take(&page(&[])).unwrap();
        assert!(walk.ask(2).is_none() && walk.is_contradicted() && walk.ended_on_nothing);
    }

    #[test]
    fn an_id_that_led_past_rows_is_noticed_by_their_number() {
        let counting = |keys: &[i64], total| Page { total: Some(total), ..page(keys) };
        let mut walk = Keyset::after(None);
        walk.take(&counting(&[1, 2], 7)).unwrap();
        // 4 came as 6: of five rows behind 2, three are left, and only one lies behind 6.
        walk.take(&counting(&[3, 6], 5)).unwrap();
        walk.take(&counting(&[7], 1)).unwrap();
        assert_eq!(walk.ask(2), Some(Ask::After { after: Some(2), token: None, limit: 2 }));
        let mut removed = walk.clone();
        walk.take(&counting(&[3, 4], 5)).unwrap();
        walk.take(&counting(&[5, 6], 3)).unwrap();
        assert_eq!(walk.newest(), Some(6));
        // Were they removed, the page says the same as before, and is believed.
        removed.take(&counting(&[3, 6], 3)).unwrap();
        removed.take(&counting(&[7], 1)).unwrap();
        assert_eq!(removed.newest(), Some(7));
        // A list that contradicts itself all the time is not read for ever.
        let (mut liar, mut asked) = (Keyset::after(None), 0);
        while liar.ask(2).is_some() {
            let after = liar.newest().unwrap_or(0);
            let keys: &[i64] = if after < 40 { &[after + 1, after + 2] } else { &[] };
            liar.take(&counting(keys, u64::try_from(100 - after * 2).unwrap_or(1))).unwrap();
            asked += 1;
            assert!(asked < 100);
        }
    }

    #[test]
    fn an_ignored_filter_or_order_is_noticed() {
        assert_eq!(Keyset::after(Some(5)).take(&page(&[5, 6])), Err(Broken::Filter));
        assert_eq!(Keyset::after(None).take(&page(&[2, 1])), Err(Broken::Order));
    }
}
