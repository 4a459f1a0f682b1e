use std::collections::HashSet;

use super::super::testing::page;
use super::*;

/// A list whose rows are times; answers as a faithful provider would, in no particular order.
fn answer(rows: &[i64], ask: &Ask) -> Page {
    let (from, to, number, limit) = match *ask {
        Ask::Number { number, limit } => (None, None, number, limit),
        Ask::Window { from, to, number, limit } => (from, to, number, limit),
        _ => panic!("not asked by this rung"),
    };
    let matching = rows
        .iter()
        .enumerate()
        .filter(|(_, row)| from.is_none_or(|from| **row >= from) && to.is_none_or(|to| **row <= to));
    let chosen: Vec<(usize, i64)> = matching
        .map(|(id, row)| (id, *row))
        .skip((number as usize - 1) * limit as usize)
        .take(limit as usize)
        .collect();
    let mut page = page(&chosen.iter().map(|(_, row)| *row).collect::<Vec<_>>());
    for (record, (id, _)) in page.records.iter_mut().zip(chosen) {
        record.id = Some(id.to_string());
    }
    page
}

fn read_all(mut walk: Windows, rows: &[i64], limit: u32) -> (HashSet<i64>, usize) {
    let mut seen = HashSet::new();
    let mut asked = 0;
    while let Some(ask) = walk.ask(limit) {
        let page = answer(rows, &ask);
        seen.extend(keys(&page));
        walk.take(&page, limit).unwrap();
        asked += 1;
        assert!(asked < 10_000, "no progress");
    }
    (seen, asked)
}

#[test]
fn a_small_list_is_one_request() {
    let rows: Vec<i64> = (0..50).collect();
    assert_eq!(read_all(Windows::complete(1000), &rows, 100).1, 1);
    assert_eq!(read_all(Windows::since(10, 1000), &rows, 100).1, 1);
}

/// As a provider that hands out a few rows at a time, and does not say whether that is all.
#[test]
fn what_may_not_be_all_is_looked_behind_and_costs_one_request_more() {
    let doubtful = |mut page: Page| {
        page.last = Some(page.records.is_empty());
        page
    };
    let rows: Vec<i64> = (0..30).collect();
    let mut walk = Windows::since(0, 1000);
    let mut asked = 0;
    while let Some(ask) = walk.ask(100) {
        walk.take(&doubtful(answer(&rows, &ask)), 100).unwrap();
        asked += 1;
    }
    assert_eq!(asked, 2);
    // Thirty a page, and there are more.
    let rows: Vec<i64> = (0..200).collect();
    let (mut walk, mut seen, mut asked) = (Windows::since(0, 1000), HashSet::new(), 0);
    while let Some(ask) = walk.ask(100) {
        let Ask::Window { from, to, number, .. } = ask else { panic!("{ask:?}") };
        let page = answer(&rows, &Ask::Window { from, to, number, limit: 30 });
        seen.extend(keys(&page));
        let page = if page.records.len() < 30 { page } else { doubtful(page) };
        walk.take(&page, 100).unwrap();
        asked += 1;
        assert!(asked < 100, "no progress");
    }
    assert_eq!(seen.len(), rows.len());
}

#[test]
fn every_row_is_read_however_the_times_are_spread() {
    let spread: Vec<Vec<i64>> = vec![
        (0..1000).map(|n| n * 37 % 1009).collect(),
        (0..1000).map(|n| if n < 990 { 5 } else { n }).collect(),
        (0..1000).map(|n| n * n).collect(),
        vec![7; 350],
    ];
    for rows in spread {
        let wanted: HashSet<i64> = rows.iter().copied().collect();
        assert_eq!(read_all(Windows::complete(10_000_000), &rows, 10).0, wanted);
        assert_eq!(read_all(Windows::since(0, 10_000_000), &rows, 10).0, wanted);
        // Rows of the future are read too: the newest window stays open.
        assert_eq!(read_all(Windows::since(0, 3), &rows, 10).0, wanted);
    }
}

#[test]
fn windows_cost_little_more_than_pages() {
    let rows: Vec<i64> = (0..10_000).map(|n| n * 1000).collect();
    let (_, asked) = read_all(Windows::complete(100_000_000), &rows, 100);
    assert!(asked <= 101 + 108, "{asked} requests for 100 pages");
}

#[test]
fn a_window_that_is_ignored_is_noticed() {
    let mut walk = Windows::since(500, 1000);
    assert_eq!(walk.take(&page(&[10, 600]), 100), Err(Broken::Filter));
}

#[test]
fn a_row_that_moves_down_within_a_crowded_millisecond_is_met() {
    let mut rows: Vec<(i64, i64)> = (0..25).map(|id| (id, 7)).collect();
    let mut walk = Windows::since(0, 1000);
    let mut seen = HashSet::new();
    while let Some(ask) = walk.ask(10) {
        let times: Vec<i64> = rows.iter().map(|(_, at)| *at).collect();
        let mut page = answer(&times, &ask);
        for record in &mut page.records {
            let place: usize = record.id.as_deref().unwrap().parse().unwrap();
            record.id = Some(rows[place].0.to_string());
        }
        seen.extend(page.records.iter().map(|record| record.id.clone().unwrap()));
        walk.take(&page, 10).unwrap();
        // The first row goes away before every request.
        if rows.len() > 5 {
            rows.remove(0);
        }
    }
    let lived: Vec<String> = rows.iter().map(|(id, _)| id.to_string()).collect();
    assert!(lived.iter().all(|id| seen.contains(id)), "{lived:?} of {seen:?}");
}

#[test]
fn an_open_window_that_shows_one_time_alone_still_has_two_sides() {
    // A page of the newest window shows one time; older and newer rows lie beyond it.
    let crowd: Vec<i64> = [vec![11; 15], vec![12, 12, 900]].concat();
    assert_eq!(read_all(Windows::since(0, 10), &crowd, 10).0, HashSet::from([11, 12, 900]));
    let crowd: Vec<i64> = [vec![5; 15], vec![-3, 1]].concat();
    assert_eq!(read_all(Windows::complete(100), &crowd, 10).0, HashSet::from([5, -3, 1]));
}
