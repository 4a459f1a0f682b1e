//! The moves on which four tools that copy APIs were measured, played against chatloom: 1000 rows, pages of 100, and
//! after each of the first five pages three rows that were read already are removed or touched, or three come in at
//! the front. `docs/completeness.md` sets the results beside each other.
//!
//! `cargo test --test it drift_moves -- --nocapture` prints the figures.

use std::collections::BTreeSet;

use chatloom::sim::bd::BdData;
use chatloom::sim::sitegpt::SitegptData;
use chatloom::sim::zaia::ZaiaData;
use chatloom::sim::{BdSim, Sim, Site, SitegptSim, ZaiaSim};

use crate::harness::{Home, bd_source, now_ms, sitegpt_source, zaia_source};

const ROWS: i64 = 1000;

/// Before the second to the sixth request for a list (in an order, where one is named), `change` is told which rows to
/// move: 0 to 2, then 3 to 5, and so on.
fn play<D: Site>(
    sim: &Sim<D>,
    (list, order): (&'static str, Option<&'static str>),
    mut change: impl FnMut(&mut D, usize) + Send + 'static,
) {
    let mut asked = 0;
    sim.world().on_request(move |data, request| {
        if request.path.ends_with(list) && (order.is_none() || request.first("order_column") == order) {
            asked += 1;
            if (2..=6).contains(&asked) {
                for row in 0..3 {
                    change(data, (asked - 2) * 3 + row);
                }
            }
        }
    });
}

/// Ends the moves.
fn rest<D: Site>(sim: &Sim<D>) {
    sim.world().before_request = None;
}

fn held(home: &Home, sql: &str) -> BTreeSet<String> {
    home.rows(sql).into_iter().collect()
}

/// Prints and judges one move: rows that should be held now, and rows that may come with the next pass.
#[expect(clippy::print_stdout, reason = "the figures are what the documentation quotes")]
fn judge(what: &str, held: &BTreeSet<String>, living: &BTreeSet<String>, new: &BTreeSet<String>) {
    let lost = living.difference(held).count();
    let deferred = new.difference(held).count();
    println!("{what}: {} rows, {lost} lost; {deferred} of {} new ones left for the next pass", living.len(), new.len());
    assert_eq!(lost, 0, "{what}");
}

const CONVERSATIONS: &str = "SELECT external_id FROM conversations";

fn directory() -> (BdData, String) {
    let mut data = BdData::new();
    let (owner, responder) = (data.add_user("Ada", "Quill"), data.add_user("Ben", "Marsh"));
    let thread = data.add_thread(&owner, &responder, now_ms() - 86_400_000);
    for number in 0..ROWS {
        data.add_message(&thread, &owner, now_ms() - 86_000_000 + number * 1000, &format!("message {number}"));
    }
    (data, owner)
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_removed_while_their_list_is_read() {
    for ignore_filters in [false, true] {
        let (mut data, _) = directory();
        data.quirks.ignore_filters = ignore_filters;
        let ids: Vec<u64> = data.messages.iter().map(|message| message.id).collect();
        let sim = BdSim::start(data).await.unwrap();
        let home = Home::new(&bd_source("bd", &sim));
        play(&sim, ("/chat_message_items/get", None), move |data, row| data.remove_message(ids[row]));
        home.sync().await;
        let living: BTreeSet<String> = sim.world().data.messages.iter().map(|message| message.id.to_string()).collect();
        assert_eq!(living.len(), 985);
        let what = if ignore_filters { "anchored, removals" } else { "keyset on an id, removals" };
        judge(what, &held(&home, "SELECT external_id FROM messages"), &living, &BTreeSet::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_are_touched_while_their_changes_are_read() {
    for ignore_filters in [false, true] {
        let mut data = BdData::new();
        let (owner, responder) = (data.add_user("Ada", "Quill"), data.add_user("Ben", "Marsh"));
        let began = now_ms() - 86_400_000;
        for number in 0..ROWS {
            data.add_thread(&owner, &responder, began + number);
        }
        data.quirks.ignore_filters = ignore_filters;
        let sim = BdSim::start(data).await.unwrap();
        let home = Home::new(&bd_source("bd", &sim));
        home.sync().await;
        // All of them change, one a second; then the first of them again, while the list of changes is read.
        let tokens: Vec<String> = sim.world().data.threads.iter().map(|thread| thread.token.clone()).collect();
        for (number, token) in (0..).zip(&tokens) {
            let changed = move |thread: &mut chatloom::sim::bd::BdThread| {
                (thread.open, thread.updated_ms) = (false, now_ms() - (ROWS - number) * 1000);
            };
            sim.world().data.change_thread(token, changed);
        }
        let again = tokens.clone();
        let changes = ("/chat_message_threads/get", Some("updated_at"));
        play(&sim, changes, move |data, row| data.touch_thread(&again[row], now_ms()));
        home.sync().await;
        rest(&sim);
        let living: BTreeSet<String> = tokens.iter().cloned().collect();
        let what = if ignore_filters { "anchored, touches" } else { "keyset on a time, touches" };
        let closed = "SELECT external_id FROM conversations WHERE status = 'closed'";
        judge(what, &held(&home, closed), &living, &BTreeSet::new());

        // Late rows: five in the second that was the newest, three ten minutes older.
        let newest = sim.world().data.threads.iter().map(|thread| thread.updated_ms).max().unwrap();
        for (index, token) in tokens.iter().rev().take(8).enumerate() {
            let at_ms = if index < 5 { newest } else { newest - 600_000 };
            sim.world().data.change_thread(token, |thread| (thread.open, thread.updated_ms) = (true, at_ms));
        }
        home.sync().await;
        let open = home.number("SELECT count(*) FROM conversations WHERE status = 'open'");
        println!("{what}: {open} of 8 late rows met, 5 of the same second and 3 older ones");
        assert_eq!(open, 8);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_move_while_a_list_that_is_newest_first_is_read() {
    for moves in ["removals", "touches", "arrivals"] {
        let mut data = SitegptData::new();
        let chatbot = data.add_chatbot("Shop");
        let began = now_ms() - 86_400_000;
        for number in 0..ROWS {
            // Without messages there is nothing to fetch: this is about the list.
            data.add_thread(&chatbot, began + number * 1000);
        }
        let newest_first: Vec<String> = data.threads.iter().rev().map(|thread| thread.id.clone()).collect();
        let sim = SitegptSim::start(data).await.unwrap();
        let home = Home::new(&sitegpt_source("bots", &sim, "v2"));
        let before: BTreeSet<String> = newest_first.iter().cloned().collect();
        play(&sim, ("/conversations", None), move |data, row| match moves {
            "removals" => data.remove_thread(&newest_first[row]),
            "touches" => data.change_thread(&newest_first[row], |thread| thread.updated_ms = now_ms()),
            _ => drop(data.add_thread(&chatbot, now_ms())),
        });
        home.sync().await;
        rest(&sim);
        let shown: BTreeSet<String> = sim.world().data.threads.iter().map(|thread| thread.id.clone()).collect();
        let (living, new) = shown.into_iter().partition(|id| before.contains(id));
        let bare = "SELECT substr(external_id, instr(external_id, '/') + 1) FROM conversations";
        judge(&format!("server cursor, {moves}"), &held(&home, bare), &living, &new);
        home.sync().await;
        assert_eq!(new.difference(&held(&home, bare)).count(), 0, "the next pass brings them");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chats_move_while_a_list_without_an_order_is_read() {
    let mut data = ZaiaData::new();
    let (owner, responder) = (data.add_identity("users", Some("Ada")), data.add_agent("Support agent"));
    let began = now_ms() - 86_400_000;
    for number in 0..ROWS {
        let chat = data.add_chat(None, &owner, &responder, began + number * 1000);
        data.change_chat(&chat, |chat| chat.last_message_ms = Some(began + number * 1000));
    }
    let newest_first: Vec<String> = data.chats.iter().rev().map(|chat| chat.id.clone()).collect();
    let sim = ZaiaSim::start(data).await.unwrap();
    let home = Home::new(&zaia_source("agents", &sim));
    let before: BTreeSet<String> = newest_first.iter().cloned().collect();
    play(&sim, ("/chats", None), move |data, row| {
        data.purge_chat(&newest_first[row]);
        data.change_chat(&newest_first[row + 20], |chat| chat.last_message_ms = Some(now_ms()));
        let new = data.add_chat(None, &owner, &responder, now_ms());
        data.change_chat(&new, |chat| chat.last_message_ms = Some(now_ms()));
    });
    home.sync().await;
    rest(&sim);
    let shown: BTreeSet<String> = sim.world().data.chats.iter().map(|chat| chat.id.clone()).collect();
    let (living, new) = shown.into_iter().partition(|id| before.contains(id));
    judge("time windows, all three moves", &held(&home, CONVERSATIONS), &living, &new);
    home.sync().await;
    assert_eq!(new.difference(&held(&home, CONVERSATIONS)).count(), 0, "the next pass brings them");
}
