//! A list that changes while it is read, answering the way providers do.

use std::collections::BTreeMap;

use chatloom::model::RawRecord;
use chatloom::provider::{Ask, Page};
use chatloom::sim::Rng;

/// What happens to the list before every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drift {
    Inserts,
    Deletes,
    Touches,
    All,
}

impl Drift {
    pub(crate) const ALL: [Self; 4] = [Self::Inserts, Self::Deletes, Self::Touches, Self::All];
}

/// How the list is ordered, and what a row's key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Ascending by id; filters are "greater than".
    Id,
    /// Ascending by time, then id; filters are "at or after". Times are whole seconds, so many rows share one.
    Time,
    /// Newest time first, then id.
    NewestFirst,
}

/// Rows by id: the time at which each was touched last.
pub(crate) type Rows = BTreeMap<i64, i64>;

/// A row in its place: key, id, time.
type Placed = (i64, i64, i64);

/// The list, and the clock beside it.
pub(crate) struct List {
    pub(crate) rows: Rows,
    pub(crate) now_ms: i64,
    pub(crate) order: Order,
    /// Filters do what they should.
    pub(crate) filters: bool,
    pub(crate) requests: usize,
    /// Ascending, whatever the order is that the list shows.
    placed: Vec<Placed>,
    next_id: i64,
    drift: Drift,
    rng: Rng,
}

/// When every story begins.
const START_MS: i64 = 1_700_000_000_000;

impl List {
    /// Some 60 to 200 rows, some of them crowded into one moment.
    pub(crate) fn new(order: Order, drift: Drift, seed: u64) -> Self {
        let mut list = Self {
            rows: Rows::new(),
            now_ms: START_MS,
            order,
            filters: true,
            requests: 0,
            placed: Vec::new(),
            next_id: 1,
            drift,
            rng: Rng::new(seed),
        };
        let mut at = START_MS - 10_000_000;
        for _ in 0..list.rng.between(60, 120) {
            // Sometimes a crowd at one moment: more than a page holds.
            let crowd = if list.rng.chance(4) { list.rng.between(5, 25) } else { 1 };
            at = (at + list.rng.between(0, 120_000)).min(START_MS);
            for _ in 0..crowd {
                list.insert(at);
            }
        }
        list
    }

    fn insert(&mut self, at_ms: i64) {
        self.put(self.next_id, at_ms);
        self.next_id += 1;
    }

    fn put(&mut self, id: i64, at_ms: i64) {
        // Time lists are in whole seconds, as the provider that has them writes them.
        let at_ms = if self.order == Order::Time { at_ms.div_euclid(1000) * 1000 } else { at_ms };
        let placed = (if self.order == Order::Id { id } else { at_ms }, id, at_ms);
        self.placed.insert(self.placed.partition_point(|other| *other < placed), placed);
        self.rows.insert(id, at_ms);
    }

    /// Takes out any row, more often an old one: those were read already.
    fn take(&mut self) -> Option<i64> {
        let last = i64::try_from(self.placed.len()).unwrap() - 1;
        let last = if self.rng.chance(60) { last / 3 } else { last };
        let place = usize::try_from(self.rng.between(0, last)).unwrap();
        let (_, id, _) = (place < self.placed.len()).then(|| self.placed.remove(place))?;
        self.rows.remove(&id);
        Some(id)
    }

    /// Time passes and rows change, up to `most` of each kind.
    pub(crate) fn drift(&mut self, most: i64) {
        self.now_ms += self.rng.between(0, 1500);
        let does = |drift| self.drift == drift || self.drift == Drift::All;
        let (inserts, deletes, touches) = (does(Drift::Inserts), does(Drift::Deletes), does(Drift::Touches));
        for _ in 0..if inserts { self.rng.between(0, most) } else { 0 } {
            self.insert(self.now_ms);
        }
        for _ in 0..if deletes { self.rng.between(0, most) } else { 0 } {
            self.take();
        }
        for _ in 0..if touches { self.rng.between(0, most) } else { 0 } {
            if let Some(id) = self.take() {
                self.put(id, self.now_ms);
            }
        }
    }

    pub(crate) fn chance(&mut self, percent: i64) -> bool {
        self.rng.chance(percent)
    }

    /// Rows whose key is within the bounds, both included, in the list's order.
    fn between(&self, from: Option<i64>, to: Option<i64>) -> impl Iterator<Item = &Placed> + Clone {
        let start = from.map_or(0, |from| self.placed.partition_point(|(key, ..)| *key < from));
        let end = to.map_or(self.placed.len(), |to| self.placed.partition_point(|(key, ..)| *key <= to));
        let rows = &self.placed[start..end.max(start)];
        let backwards = self.order == Order::NewestFirst;
        let place = move |index| if backwards { rows.len() - 1 - index } else { index };
        (0..rows.len()).map(move |index| &rows[place(index)])
    }

    /// The answer to a question: one look at the list as it is now.
    pub(crate) fn answer(&mut self, ask: &Ask) -> Page {
        self.requests += 1;
        let page_of = |token: &Option<String>| token.as_deref().map_or(1, |token| token.parse().unwrap());
        let (from, to, number, limit): (Option<i64>, Option<i64>, usize, u32) = match ask {
            Ask::After { after, token, limit } => {
                let after = after.filter(|_| self.filters);
                let from = if self.order == Order::Id { after.map(|after| after + 1) } else { after };
                (from, None, page_of(token), *limit)
            }
            Ask::Token { token, limit } if self.order == Order::NewestFirst => {
                return self.behind_cursor(token.as_deref(), *limit as usize);
            }
            Ask::Token { token, limit } => (None, None, page_of(token), *limit),
            Ask::Number { number, limit } => (None, None, *number as usize, *limit),
            Ask::Window { from, to, number, limit } => (*from, *to, *number as usize, *limit),
            Ask::Newest { .. } => panic!("no walk asks this"),
        };
        let rows = self.between(from, to);
        let total = rows.clone().count();
        let size = limit as usize;
        let records: Vec<RawRecord> = rows.skip((number - 1) * size).take(size).map(record).collect();
        let last = number * size >= total;
        match ask {
            Ask::After { .. } | Ask::Token { .. } => Page {
                records,
                total: Some(total as u64),
                next: (!last).then(|| (number + 1).to_string()),
                last: Some(last),
                alone: false,
            },
            _ => Page { last: Some(records.len() < size), records, ..Page::default() },
        }
    }

    /// What lies behind the row that the cursor names, whether that row is still there or not.
    fn behind_cursor(&self, token: Option<&str>, size: usize) -> Page {
        let place = token.and_then(|token| token.split_once('/'));
        let place: Option<(i64, i64)> = place.map(|(key, id)| (key.parse().unwrap(), id.parse().unwrap()));
        let rows: Vec<&Placed> = self
            .between(None, None)
            .skip_while(|(key, id, _)| place.is_some_and(|place| (*key, *id) >= place))
            .take(size + 1)
            .collect();
        let next = rows.get(size).and(rows.get(size - 1)).map(|(key, id, _)| format!("{key}/{id}"));
        let records = rows.into_iter().take(size).map(record).collect();
        Page { records, last: Some(next.is_none()), next, ..Page::default() }
    }
}

fn record((key, id, at): &Placed) -> RawRecord {
    RawRecord {
        id: Some(id.to_string()),
        key: Some(*key),
        parent: None,
        seq: 0,
        json: serde_json::value::RawValue::from_string(at.to_string()).unwrap(),
    }
}
