//! Every rung against a list that changes before every request: what lived through the reading is never missed.
//!
//! `CHATLOOM_DRIFT_SEEDS=10000 cargo test --test it drift_walks -- --nocapture` runs it longer and prints figures.

use std::collections::HashSet;

use chatloom::provider::{Ask, Page};
use chatloom::sync::walk::{Anchored, Changes, Keyset, Pages, Tokens, Walk, Windows};

use crate::drift_list::{Drift, List, Order, Rows};

/// Rows per page.
const LIMIT: u32 = 7;

/// As the engine has it: a time watermark stays this far behind the pass's start.
const HOLD_BACK_MS: i64 = 60_000;

#[expect(clippy::disallowed_methods, reason = "how long a test runs is no setting of the program")]
fn seeds() -> u64 {
    std::env::var("CHATLOOM_DRIFT_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(100)
}

/// Changes of each kind before a request, at most.
fn most(seed: u64) -> i64 {
    1 + i64::try_from(seed % 3).unwrap()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rung {
    KeysetIds,
    Changes,
    AnchoredIds,
    AnchoredTimes,
    Windows,
    /// Without the plain list before them.
    WindowsAlone,
    Cursor,
}

impl Rung {
    const ALL: [Self; 7] = [
        Self::KeysetIds,
        Self::Changes,
        Self::AnchoredIds,
        Self::AnchoredTimes,
        Self::Windows,
        Self::WindowsAlone,
        Self::Cursor,
    ];

    fn order(self) -> Order {
        match self {
            Self::KeysetIds | Self::AnchoredIds => Order::Id,
            Self::Changes | Self::AnchoredTimes => Order::Time,
            Self::Windows | Self::WindowsAlone | Self::Cursor => Order::NewestFirst,
        }
    }

    fn first(self, now: i64) -> Walk {
        match self {
            Self::KeysetIds => Walk::Keyset(Keyset::after(None)),
            Self::Changes => Walk::Changes(Changes::from(0, now)),
            Self::AnchoredIds => Walk::Anchored(Anchored::whole(None)),
            Self::AnchoredTimes => Walk::Anchored(Anchored::whole(Some(now))),
            Self::Windows => Walk::Windows(Windows::complete(now)),
            Self::WindowsAlone => Walk::Windows(Windows::since(0, now)),
            Self::Cursor => Walk::Tokens(Tokens::by_cursor()),
        }
    }

    /// The walk of the following pass, as the engine begins it.
    fn second(self, first: &Walk, now: i64) -> Walk {
        let began = first.began_ms().unwrap_or(now);
        let watermark = first.newest().unwrap_or(0);
        let time_mark = watermark.min(began - HOLD_BACK_MS);
        match (self, first) {
            (Self::KeysetIds, _) => Walk::Keyset(Keyset::after(Some(watermark))),
            (Self::Changes, _) => Walk::Changes(Changes::from(time_mark, now)),
            (Self::AnchoredIds, Walk::Anchored(walk)) => {
                let mut walk = walk.clone();
                walk.go_on(None, None);
                Walk::Anchored(walk)
            }
            (Self::AnchoredTimes, Walk::Anchored(walk)) => {
                let mut walk = walk.clone();
                walk.go_on(Some(time_mark), Some(now));
                Walk::Anchored(walk)
            }
            (Self::Windows | Self::WindowsAlone, _) => Walk::Windows(Windows::since(time_mark, now)),
            _ => self.first(now),
        }
    }
}

/// Rows as they were met: id and time.
type Met = HashSet<(i64, i64)>;

fn meet(met: &mut Met, page: &Page) {
    met.extend(
        page.records
            .iter()
            .map(|record| (record.id.as_ref().unwrap().parse().unwrap(), record.json.get().parse().unwrap())),
    );
}

/// Walks to the end while the list drifts; now and then the process is killed and goes on from what was saved.
fn walk_through(mut walk: Walk, list: &mut List, met: &mut Met, most: i64, what: &str) -> Walk {
    let begun_with = list.requests;
    while let Some(ask) = walk.ask(LIMIT) {
        list.drift(most);
        let page = list.answer(&ask);
        meet(met, &page);
        walk.take(&page, LIMIT).unwrap_or_else(|broken| panic!("{what}: {broken}"));
        assert!(list.requests - begun_with < 20_000, "{what}: no end");
        if list.chance(3) {
            walk = serde_json::from_str(&serde_json::to_string(&walk).unwrap()).unwrap();
            for _ in 0..5 {
                list.drift(most);
            }
        }
    }
    walk
}

/// The rows that were there before and after, as far as they did not change. What was read by id need not be read
/// again when it is touched.
fn lived(before: &Rows, after: &Rows, by_id: bool) -> Vec<(i64, i64)> {
    after
        .iter()
        .filter(|(id, at)| before.get(id).is_some_and(|was| by_id || was == *at))
        .map(|(id, at)| (*id, *at))
        .collect()
}

fn missed(met: &Met, wanted: &[(i64, i64)], by_id: bool) -> usize {
    let ids: HashSet<i64> = met.iter().map(|(id, _)| *id).collect();
    wanted.iter().filter(|row| if by_id { !ids.contains(&row.0) } else { !met.contains(row) }).count()
}

#[test]
fn no_rung_misses_a_row_that_lives_through_the_reading() {
    for rung in Rung::ALL {
        for drift in Drift::ALL {
            let (mut requests, mut rows) = (0, 0);
            for seed in 0..seeds() {
                let what = format!("{rung:?} under {drift:?}, seed {seed}");
                let by_id = rung.order() == Order::Id;
                let mut list = List::new(rung.order(), drift, seed);
                let most = most(seed);
                list.filters = !matches!(rung, Rung::AnchoredIds | Rung::AnchoredTimes);
                let mut met = Met::new();

                let before = list.rows.clone();
                let walk = walk_through(rung.first(list.now_ms), &mut list, &mut met, most, &what);
                let wanted = lived(&before, &list.rows, by_id);
                assert_eq!(missed(&met, &wanted, by_id), 0, "{what}: first pass, {} rows", wanted.len());
                (requests, rows) = (requests + list.requests, rows + before.len());

                // The next pass meets what changed during the first one.
                list.now_ms += 300_000;
                let before = list.rows.clone();
                walk_through(rung.second(&walk, list.now_ms), &mut list, &mut met, most, &what);
                let wanted = lived(&before, &list.rows, by_id);
                assert_eq!(missed(&met, &wanted, by_id), 0, "{what}: second pass, {} rows", wanted.len());
            }
            let pages = rows.div_ceil(LIMIT as usize);
            println!(
                "{:14} {:9} {} seeds, 0 rows missed, {:.2} requests per page",
                format!("{rung:?}"),
                format!("{drift:?}"),
                seeds(),
                requests as f64 / pages as f64
            );
        }
    }
}

/// What most tools do: pages counted from the start, until one is empty.
fn plain_paging(list: &mut List, met: &mut Met, most: i64) {
    for number in 1.. {
        list.drift(most);
        let page = list.answer(&Ask::Number { number, limit: LIMIT });
        if page.records.is_empty() {
            return;
        }
        meet(met, &page);
    }
}

#[test]
fn the_same_lists_read_page_by_page_lose_rows() {
    for (order, drift, loses) in [
        (Order::Id, Drift::Inserts, false),
        (Order::Id, Drift::Deletes, true),
        (Order::Id, Drift::All, true),
        (Order::Time, Drift::Deletes, true),
        (Order::Time, Drift::Touches, true),
        (Order::Time, Drift::All, true),
        (Order::NewestFirst, Drift::Deletes, true),
    ] {
        let (mut lost, mut worst, mut affected) = (0, 0, 0);
        for seed in 0..seeds() {
            let mut list = List::new(order, drift, seed);
            let mut met = Met::new();
            let before = list.rows.clone();
            plain_paging(&mut list, &mut met, most(seed));
            let by_id = order == Order::Id;
            let gone = missed(&met, &lived(&before, &list.rows, by_id), by_id);
            (lost, worst, affected) = (lost + gone, worst.max(gone), affected + usize::from(gone > 0));
        }
        println!(
            "plain paging   {order:?}, {drift:?}: {lost} rows lost in {affected} of {} seeds, {worst} at worst",
            seeds()
        );
        assert_eq!(lost > 0, loses, "{order:?} under {drift:?}");
    }
}

#[test]
fn numbered_pages_that_overlap_miss_nothing_where_the_order_holds() {
    // Numbered pages promise no order, so no rung is claimed for them. While the list does keep its order, and takes page
    // sizes of our choice, what goes away hides nothing. The same pages laid edge to edge lose rows.
    for order in [Order::NewestFirst, Order::Time, Order::Id] {
        for drift in Drift::ALL {
            // In the other orders, what comes in lies behind the reader, and is no trouble to anybody.
            if drift == Drift::Inserts && order != Order::NewestFirst {
                continue;
            }
            let (mut requests, mut rows, mut edge_to_edge) = (0, 0, 0);
            for seed in 0..seeds() {
                let what = format!("overlapping pages, {order:?} under {drift:?}, seed {seed}");
                let (most, by_id) = (most(seed), order == Order::Id);
                let mut list = List::new(order, drift, seed);
                let (before, mut met) = (list.rows.clone(), Met::new());
                walk_through(Walk::Pages(Pages::overlapping()), &mut list, &mut met, most, &what);
                let wanted = lived(&before, &list.rows, by_id);
                assert_eq!(missed(&met, &wanted, by_id), 0, "{what}: {} rows", wanted.len());
                (requests, rows) = (requests + list.requests, rows + before.len());

                let mut list = List::new(order, drift, seed);
                let (before, mut met) = (list.rows.clone(), Met::new());
                walk_through(Walk::Pages(Pages::default()), &mut list, &mut met, most, "pages");
                edge_to_edge += missed(&met, &lived(&before, &list.rows, by_id), by_id);
            }
            assert!(
                drift != Drift::Deletes || edge_to_edge > 0,
                "{order:?}: pages laid edge to edge lose nothing either"
            );
            let pages = rows.div_ceil(LIMIT as usize);
            println!(
                "{:14} {:9} {} seeds, 0 rows missed, {:.2} requests per page; edge to edge {edge_to_edge} missed",
                format!("{order:?}"),
                format!("{drift:?}"),
                seeds(),
                requests as f64 / pages as f64
            );
        }
    }
}

#[test]
fn the_best_that_can_be_done_without_order_or_filter_is_only_that() {
    // Numbered pages, newest first: what comes in and what is touched is met; what goes away may hide a row.
    let (mut lost, mut plain_lost) = ([0; 4], [0; 4]);
    for (index, drift) in Drift::ALL.into_iter().enumerate() {
        for seed in 0..seeds() {
            let most = most(seed);
            let mut list = List::new(Order::NewestFirst, drift, seed);
            let (before, mut met) = (list.rows.clone(), Met::new());
            walk_through(Walk::Pages(Pages::default()), &mut list, &mut met, most, "pages");
            lost[index] += missed(&met, &lived(&before, &list.rows, false), false);

            let mut list = List::new(Order::NewestFirst, drift, seed);
            let (before, mut met) = (list.rows.clone(), Met::new());
            plain_paging(&mut list, &mut met, most);
            plain_lost[index] += missed(&met, &lived(&before, &list.rows, false), false);
        }
        println!(
            "best effort    {drift:?}: {} rows lost in {} seeds, plain paging {}",
            lost[index],
            seeds(),
            plain_lost[index]
        );
        assert!(lost[index] <= plain_lost[index]);
    }
    assert_eq!(lost[0], 0, "rows that come in at the front hide nothing");
}
