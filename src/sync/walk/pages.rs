//! Walks by page number, for lists that offer nothing better.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{Broken, short};
use crate::provider::{Ask, Page};

/// A walk by page number from 1 until a page brings nothing new.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pages {
    number: u32,
    done: bool,
    /// Page 2 brought page 1 again: the server sends what it sends, whatever page is asked for.
    #[serde(default)]
    pub(crate) ignored: bool,
    /// Rows of this walk. Not saved: after a kill, the page asked for last counts as new once more.
    #[serde(skip)]
    rows: HashSet<i64>,
}

impl Default for Pages {
    fn default() -> Self {
        Self { number: 1, done: false, ignored: false, rows: HashSet::new() }
    }
}

impl Pages {
    /// How many different rows came.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn ask(&self, limit: u32) -> Option<Ask> {
        (!self.done).then_some(Ask::Number { number: self.number, limit })
    }

    #[expect(clippy::unnecessary_wraps, reason = "the same shape as the other rungs")]
    pub(super) fn take(&mut self, page: &Page) -> Result<(), Broken> {
        let mut new = false;
        let mut without_id = false;
        for record in &page.records {
            match record.id.as_deref() {
                Some(id) => new |= self.rows.insert(short(id)),
                None => without_id = true,
            }
        }
        self.ignored |= self.number == 2 && !new && !page.records.is_empty();
        // A page of unreadable rows is not the end: whether it is new cannot be told, so the next page decides.
        let nothing_new = !(new || without_id && self.number == 1);
        self.done = page.records.is_empty() || nothing_new || page.last == Some(true);
        self.number = self.number.saturating_add(1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::page;
    use super::*;

    fn walk(pages: &[&[i64]]) -> (Pages, usize) {
        let mut walk = Pages::default();
        for (asked, keys) in pages.iter().enumerate() {
            if walk.ask(2).is_none() {
                return (walk, asked);
            }
            walk.take(&page(keys)).unwrap();
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
    fn a_page_that_says_it_is_the_last_is_the_last() {
        let mut walk = Pages::default();
        walk.take(&Page { last: Some(true), ..page(&[1]) }).unwrap();
        assert_eq!(walk.ask(2), None);
    }
}
