//! Walks by the server's own tokens.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{Broken, keys, short};
use crate::provider::{Ask, Page};

/// Rounds of a list whose paging promises nothing, at the most.
const MOST_ROUNDS: u32 = 5;

/// So many pages in a row that bring no row new to their round are taken for a list without an end, whatever tokens come
/// with them.
const MOST_IDLE: u32 = 25;

/// A walk from the first page to the last by the tokens that the server hands out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tokens {
    token: Option<String>,
    newest: Option<i64>,
    done: bool,
    /// The token is a position in a list that may shift: read again until a round brings no new row.
    until_stable: bool,
    round: u32,
    /// The page size of positions: another size has other positions.
    size: Option<u32>,
    /// When the walk began, for lists whose keys are times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    began_ms: Option<i64>,
    #[serde(skip)]
    started_over: bool,
    /// The round was begun by another process: what came in at the front since then was not met.
    #[serde(skip)]
    taken_over: bool,
    /// Rows of this walk. Not saved: after a kill the round under way starts its count again, which costs a round.
    #[serde(skip)]
    rows: HashSet<i64>,
    #[serde(skip)]
    new_in_round: bool,
    #[serde(skip)]
    tokens: HashSet<i64>,
    #[serde(skip)]
    in_round: HashSet<i64>,
    #[serde(skip)]
    idle: u32,
}

impl Tokens {
    /// A walk by a cursor that keeps its place whatever happens to the list.
    #[must_use]
    pub fn by_cursor() -> Self {
        Self::new(false, None)
    }

    /// A walk by page tokens, which are positions: repeated until stable, and a best effort all the same.
    /// `began_ms`: now, where its keys are times.
    #[must_use]
    pub fn until_stable(began_ms: Option<i64>) -> Self {
        Self::new(true, began_ms)
    }

    fn new(until_stable: bool, began_ms: Option<i64>) -> Self {
        Self {
            token: None,
            newest: None,
            done: false,
            until_stable,
            round: 1,
            size: None,
            began_ms,
            started_over: false,
            taken_over: false,
            rows: HashSet::new(),
            new_in_round: false,
            tokens: HashSet::new(),
            in_round: HashSet::new(),
            idle: 0,
        }
    }

    pub(super) fn method(&self) -> &'static str {
        if self.until_stable { "best_effort" } else { "cursor" }
    }

    pub(super) fn newest(&self) -> Option<i64> {
        self.newest
    }

    pub(super) fn began_ms(&self) -> Option<i64> {
        self.began_ms
    }

    /// Goes back to the first page, once: the server no longer takes its own token.
    pub(super) fn start_over(&mut self) -> bool {
        let worthwhile = !std::mem::replace(&mut self.started_over, true) && self.token.is_some();
        if worthwhile {
            self.token = None;
            self.tokens.clear();
            self.in_round.clear();
        }
        worthwhile
    }

    fn has_other_positions(&self, limit: u32) -> bool {
        self.until_stable && self.size.is_some_and(|size| size != limit)
    }

    pub(super) fn ask(&self, limit: u32) -> Option<Ask> {
        let token = if self.has_other_positions(limit) { None } else { self.token.clone() };
        (!self.done).then_some(Ask::Token { token, limit })
    }

    pub(super) fn take(&mut self, page: &Page, limit: u32) -> Result<(), Broken> {
        if self.has_other_positions(limit) {
            self.tokens.clear();
            self.in_round.clear();
        }
        self.size = Some(limit);
        self.taken_over |= self.token.is_some() && self.tokens.is_empty();
        self.newest = self.newest.max(keys(page).max());
        let (mut new_in_page, mut new_to_round) = (false, false);
        for id in page.records.iter().filter_map(|record| record.id.as_deref()) {
            new_in_page |= self.rows.insert(short(id));
            new_to_round |= self.in_round.insert(short(id));
        }
        self.idle = if new_to_round { 0 } else { self.idle + 1 };
        self.new_in_round |= new_in_page;
        let next = page.next.clone().filter(|_| page.last != Some(true));
        let Some(next) = next else {
            self.end_of_round();
            return Ok(());
        };
        let token_is_new = self.tokens.insert(short(&next));
        // Seen before, and nothing new with it: the server goes in circles.
        if !token_is_new && !new_in_page || self.idle >= MOST_IDLE {
            return Err(Broken::Stalled);
        }
        self.token = Some(next);
        Ok(())
    }

    fn end_of_round(&mut self) {
        let stable = self.round > 1 && !self.new_in_round;
        let enough = if self.until_stable { stable } else { !self.taken_over } || self.round >= MOST_ROUNDS;
        if enough {
            self.done = true;
        } else {
            self.round = self.round.saturating_add(1);
            self.token = None;
            self.idle = 0;
            self.in_round.clear();
            (self.new_in_round, self.taken_over) = (false, false);
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
        walk.take(&with_next(&[3, 2], "b"), 2).unwrap();
        assert_eq!(walk.ask(2), Some(Ask::Token { token: Some("b".to_owned()), limit: 2 }));
        walk.take(&page(&[1]), 2).unwrap();
        assert_eq!(walk.ask(2), None);
    }

    #[test]
    fn a_cursor_walk_that_another_process_began_is_read_once_more_from_the_start() {
        let mut walk = Tokens::by_cursor();
        walk.take(&with_next(&[3, 2], "b"), 2).unwrap();
        let mut walk: Tokens = serde_json::from_str(&serde_json::to_string(&walk).unwrap()).unwrap();
        assert_eq!(walk.ask(2), Some(Ask::Token { token: Some("b".to_owned()), limit: 2 }));
        walk.take(&page(&[1]), 2).unwrap();
        assert_eq!(walk.ask(2), Some(Ask::Token { token: None, limit: 2 }), "what came in since is at the front");
        walk.take(&with_next(&[4, 3], "b"), 2).unwrap();
        walk.take(&page(&[2, 1]), 2).unwrap();
        assert_eq!(walk.ask(2), None);
    }

    #[test]
    fn an_empty_page_with_a_cursor_is_not_the_end() {
        let mut walk = Tokens::by_cursor();
        walk.take(&with_next(&[], "b"), 2).unwrap();
        assert!(walk.ask(2).is_some());
    }

    #[test]
    fn a_token_that_never_ends_stops_the_walk() {
        let mut walk = Tokens::by_cursor();
        walk.take(&with_next(&[1], "b"), 2).unwrap();
        walk.take(&with_next(&[2], "b"), 2).unwrap();
        assert_eq!(walk.take(&with_next(&[2], "b"), 2), Err(Broken::Stalled));
    }

    #[test]
    fn a_list_whose_tokens_are_always_new_and_whose_rows_never_are_is_left() {
        for keys in [&[1, 2][..], &[]] {
            let mut walk = Tokens::by_cursor();
            let asked = (0..1000).take_while(|n| walk.take(&with_next(keys, &n.to_string()), 2).is_ok()).count();
            assert!((10..40).contains(&asked), "{asked}");
        }
        // Not so a second round of a long list.
        let mut walk = Tokens::until_stable(None);
        for round in 0..2 {
            for n in 0..100 {
                walk.take(&with_next(&[n], &n.to_string()), 2).unwrap();
            }
            walk.take(&page(&[100]), 2).unwrap();
            assert_eq!(walk.ask(2).is_none(), round == 1);
        }
    }

    #[test]
    fn positions_are_read_again_until_a_round_brings_nothing_new() {
        let mut walk = Tokens::until_stable(None);
        walk.take(&page(&[1, 2]), 2).unwrap();
        assert!(walk.ask(2).is_some());
        walk.take(&page(&[1, 3]), 2).unwrap();
        assert!(walk.ask(2).is_some());
        walk.take(&page(&[1, 2, 3]), 2).unwrap();
        assert_eq!(walk.ask(2), None);
    }

    #[test]
    fn a_token_that_is_refused_later_is_forgotten_once() {
        let mut walk = Tokens::by_cursor();
        assert!(!walk.clone().start_over());
        walk.take(&with_next(&[1], "b"), 2).unwrap();
        assert!(walk.start_over());
        assert_eq!(walk.ask(2), Some(Ask::Token { token: None, limit: 2 }));
        walk.take(&with_next(&[1], "b"), 2).unwrap();
        assert!(!walk.start_over());
    }

    #[test]
    fn positions_of_another_page_size_are_not_used() {
        let (mut positions, mut cursor) = (Tokens::until_stable(None), Tokens::by_cursor());
        for walk in [&mut positions, &mut cursor] {
            walk.take(&with_next(&[1], "b"), 2).unwrap();
        }
        assert_eq!(positions.ask(1), Some(Ask::Token { token: None, limit: 1 }));
        assert_eq!(cursor.ask(1), Some(Ask::Token { token: Some("b".to_owned()), limit: 1 }));
    }
}
