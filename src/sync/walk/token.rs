//! Walks by the server's own tokens.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{Broken, keys, short};
use crate::provider::{Ask, Page};

/// Rounds of a list whose paging promises nothing, at the most.
const MOST_ROUNDS: u32 = 5;

/// A walk from the first page to the last by the tokens that the server hands out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tokens {
    token: Option<String>,
    newest: Option<i64>,
    done: bool,
    /// The token is a position in a list that may shift: read again until a round brings no new row.
    until_stable: bool,
    round: u32,
    /// Rows of this walk. Not saved: after a kill the round under way starts its count again, which costs a round.
    #[serde(skip)]
    rows: HashSet<i64>,
    #[serde(skip)]
    new_in_round: bool,
    #[serde(skip)]
    tokens: HashSet<i64>,
}

impl Tokens {
    /// A walk by a cursor that keeps its place whatever happens to the list.
    #[must_use]
    pub fn by_cursor() -> Self {
        Self::new(false)
    }

    /// A walk by page tokens, which are positions: repeated until stable, and a best effort all the same.
    #[must_use]
    pub fn until_stable() -> Self {
        Self::new(true)
    }

    fn new(until_stable: bool) -> Self {
        Self {
            token: None,
            newest: None,
            done: false,
            until_stable,
            round: 1,
            rows: HashSet::new(),
            new_in_round: false,
            tokens: HashSet::new(),
        }
    }

    pub(super) fn method(&self) -> &'static str {
        if self.until_stable { "best_effort" } else { "cursor" }
    }

    pub(super) fn newest(&self) -> Option<i64> {
        self.newest
    }

    pub(super) fn ask(&self, limit: u32) -> Option<Ask> {
        (!self.done).then(|| Ask::Token { token: self.token.clone(), limit })
    }

    pub(super) fn take(&mut self, page: &Page) -> Result<(), Broken> {
        self.newest = self.newest.max(keys(page).max());
        let mut new_in_page = false;
        for id in page.records.iter().filter_map(|record| record.id.as_deref()) {
            new_in_page |= self.rows.insert(short(id));
        }
        self.new_in_round |= new_in_page;
        let next = page.next.clone().filter(|_| page.last != Some(true));
        let Some(next) = next else {
            self.end_of_round();
            return Ok(());
        };
        let token_is_new = self.tokens.insert(short(&next));
        // Seen before, and nothing new with it: the server goes in circles.
        if !token_is_new && !new_in_page {
            return Err(Broken::Stalled);
        }
        self.token = Some(next);
        Ok(())
    }

    fn end_of_round(&mut self) {
        let stable = self.round > 1 && !self.new_in_round;
        if !self.until_stable || stable || self.round >= MOST_ROUNDS {
            self.done = true;
        } else {
            self.round += 1;
            self.token = None;
            self.new_in_round = false;
            self.tokens.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::page;
    use super::*;

    fn with_next(keys: &[i64], next: &str) -> Page {
        Page { next: Some(next.to_owned()), ..page(keys) }
    }

    #[test]
    fn a_cursor_walk_ends_where_the_server_hands_out_no_cursor() {
        let mut walk = Tokens::by_cursor();
        walk.take(&with_next(&[3, 2], "b")).unwrap();
        assert_eq!(walk.ask(2), Some(Ask::Token { token: Some("b".to_owned()), limit: 2 }));
        walk.take(&page(&[1])).unwrap();
        assert_eq!(walk.ask(2), None);
    }

    #[test]
    fn an_empty_page_with_a_cursor_is_not_the_end() {
        let mut walk = Tokens::by_cursor();
        walk.take(&with_next(&[], "b")).unwrap();
        assert!(walk.ask(2).is_some());
    }

    #[test]
    fn a_token_that_never_ends_stops_the_walk() {
        let mut walk = Tokens::by_cursor();
        walk.take(&with_next(&[1], "b")).unwrap();
        walk.take(&with_next(&[2], "b")).unwrap();
        assert_eq!(walk.take(&with_next(&[2], "b")), Err(Broken::Stalled));
    }

    #[test]
    fn positions_are_read_again_until_a_round_brings_nothing_new() {
        let mut walk = Tokens::until_stable();
        walk.take(&page(&[1, 2])).unwrap();
        assert!(walk.ask(2).is_some());
        walk.take(&page(&[1, 3])).unwrap();
        assert!(walk.ask(2).is_some());
        walk.take(&page(&[1, 2, 3])).unwrap();
        assert_eq!(walk.ask(2), None);
    }
}
