//! What readings lack: rows that sweeps do not meet, messages that are not in their conversation.

use super::*;

/// The conversation was read whole, and these messages were in it. `whole`: the provider's count says so too.
fn reading(bench: &Bench, present: &[&str], whole: bool) -> Batch {
    let present = Some(present.iter().map(|id| (*id).to_owned()).collect());
    let fetched = mark(1, false).map(|mark| FetchMark { whole, present, ..mark });
    Batch { fetched, ..bench.batch(vec![]) }
}

/// A sweep along ids that met these, of a list whose rows are messages 1 to 3.
async fn sweep(bench: &Bench, met: &[&str]) -> Counts {
    let mut counts = Counts::default();
    let records = met.iter().map(|id| said(message(id, "o", "kept"))).collect();
    let first = Batch {
        stretch: Some(Stretch { stream: "messages", after: None, up_to: None }),
        sweep: Some(SweepPoint::Begin("messages")),
        ..bench.batch(records)
    };
    counts.add(&bench.store.commit(first).await.unwrap().counts);
    let end = Batch { sweep: Some(SweepPoint::End("messages")), ..bench.batch(vec![]) };
    counts.add(&bench.store.commit(end).await.unwrap().counts);
    counts
}

const LIVE: &str = "SELECT coalesce(group_concat(external_id, ' '), '') FROM
    (SELECT external_id FROM messages WHERE deleted_at_ms IS NULL ORDER BY external_id)";

#[tokio::test]
async fn a_row_is_deleted_when_two_sweeps_in_a_row_missed_it_and_lives_again_when_met() {
    let bench = Bench::new().await;
    sweep(&bench, &["1", "2", "3"]).await;
    assert_eq!(sweep(&bench, &["1", "3"]).await.messages.deleted, 0);
    sweep(&bench, &["1", "2", "3"]).await;
    sweep(&bench, &["1", "3"]).await;
    assert_eq!(bench.text(LIVE), "1 2 3", "met in between: counted anew");
    assert_eq!(sweep(&bench, &["1", "3"]).await.messages.deleted, 1);
    assert_eq!(bench.text(LIVE), "1 3");
    assert_eq!(bench.text("SELECT body_text || deleted_reason FROM messages WHERE external_id = '2'"), "keptmissing");
    let rev = bench.rev();
    sweep(&bench, &["1", "3"]).await;
    assert_eq!(bench.rev(), rev, "a deleted row is deleted once");
    sweep(&bench, &["1", "2", "3"]).await;
    assert_eq!(bench.text(LIVE), "1 2 3");
}

#[tokio::test]
async fn an_empty_or_unfinished_sweep_deletes_nothing() {
    let bench = Bench::new().await;
    sweep(&bench, &["1", "2", "3"]).await;
    for _ in 0..3 {
        sweep(&bench, &[]).await;
    }
    assert_eq!(bench.text(LIVE), "1 2 3");
    for _ in 0..3 {
        let unfinished = Batch {
            stretch: Some(Stretch { stream: "messages", after: None, up_to: Some(2) }),
            sweep: Some(SweepPoint::Begin("messages")),
            ..bench.batch(vec![said(message("2", "o", "kept"))])
        };
        bench.store.commit(unfinished).await.unwrap();
    }
    assert_eq!(bench.text(LIVE), "1 2 3");
}

#[tokio::test]
async fn a_message_missing_from_two_whole_readings_of_its_conversation_is_deleted() {
    let bench = Bench::new().await;
    bench.commit(vec![listed(1), said(message("1", "o", "kept")), said(message("2", "o", "kept"))]).await;
    bench.store.commit(reading(&bench, &["1"], false)).await.unwrap();
    bench.store.commit(reading(&bench, &["1", "2"], false)).await.unwrap();
    bench.store.commit(reading(&bench, &["1"], false)).await.unwrap();
    bench.store.commit(reading(&bench, &[], false)).await.unwrap();
    assert_eq!(bench.text(LIVE), "1 2");
    bench.store.commit(reading(&bench, &["1"], false)).await.unwrap();
    assert_eq!(bench.text(LIVE), "1");
    bench.commit(vec![said(message("2", "o", "kept"))]).await;
    assert_eq!(bench.text(LIVE), "1 2");
}

#[tokio::test]
async fn a_whole_end_that_is_missing_was_deleted_only_if_the_providers_count_says_so() {
    let bench = Bench::new().await;
    let rows = ["1", "2", "3", "4", "5", "6"].iter().map(|id| said(message(id, "o", "kept")));
    bench.commit(std::iter::once(listed(1)).chain(rows).collect()).await;
    for _ in 0..3 {
        bench.store.commit(reading(&bench, &["6"], false)).await.unwrap();
    }
    assert_eq!((bench.text(STATE), bench.text(LIVE)), ("0short0".to_owned(), "1 2 3 4 5 6".to_owned()));
    for _ in 0..2 {
        bench.store.commit(reading(&bench, &["6"], true)).await.unwrap();
    }
    assert_eq!((bench.text(STATE), bench.text(LIVE)), ("1-0".to_owned(), "6".to_owned()));
}

#[tokio::test]
async fn the_last_message_of_a_conversation_is_the_last_that_is_left() {
    let bench = Bench::new().await;
    let sent = |id: &str, at_ms| said(MessageRow { sent_at_ms: Some(at_ms), ..message(id, "o", "kept") });
    bench.commit(vec![sent("1", 10), sent("2", 20), sent("3", 30)]).await;
    let last = "SELECT last_message_at_ms || ' ' || (rev > 3) FROM conversations";
    assert_eq!(bench.text(last), "30 1");
    let sweep = async |met: Vec<Record>| {
        let first = Batch {
            stretch: Some(Stretch { stream: "messages", after: None, up_to: None }),
            sweep: Some(SweepPoint::Begin("messages")),
            ..bench.batch(met)
        };
        bench.store.commit(first).await.unwrap();
        bench.store.commit(Batch { sweep: Some(SweepPoint::End("messages")), ..bench.batch(vec![]) }).await.unwrap();
    };
    for _ in 0..2 {
        sweep(vec![sent("1", 10), sent("2", 20)]).await;
    }
    assert_eq!((bench.text(LIVE), bench.text(last)), ("1 2".to_owned(), "20 1".to_owned()));
    let rev = bench.rev();
    sweep(vec![sent("1", 10), sent("2", 20)]).await;
    assert_eq!(bench.rev(), rev);
}

#[tokio::test]
async fn what_was_deleted_softly_and_is_dropped_later_is_missing_since_it_was_deleted() {
    let bench = Bench::new().await;
    let row = |id: &str, deleted_at_ms| {
        let row = ConversationRow { external_id: id.to_owned(), deleted_at_ms, ..ConversationRow::default() };
        record("threads", id, vec![Row::Conversation(row)])
    };
    bench.commit(vec![row("1", Patch::Set(5)), row("2", Patch::Clear)]).await;
    let state = "SELECT group_concat(external_id || ':' || coalesce(deleted_at_ms || deleted_reason, 'live'), ' ') FROM
        (SELECT * FROM conversations ORDER BY external_id)";
    assert_eq!(bench.text(state), "1:5provider 2:live");
    let mut deleted = 0;
    for _ in 0..3 {
        let first = Batch {
            stretch: Some(Stretch { stream: "threads", after: None, up_to: None }),
            sweep: Some(SweepPoint::Begin("threads")),
            ..bench.batch(vec![row("2", Patch::Clear)])
        };
        bench.store.commit(first).await.unwrap();
        let end = Batch { sweep: Some(SweepPoint::End("threads")), ..bench.batch(vec![]) };
        deleted += bench.store.commit(end).await.unwrap().counts.conversations.deleted;
    }
    assert_eq!((bench.text(state).as_str(), deleted), ("1:5missing 2:live", 0));
    bench.commit(vec![row("1", Patch::Clear)]).await;
    assert_eq!(bench.text(state), "1:live 2:live");
}

#[tokio::test]
async fn a_conversation_that_no_list_showed_is_there_as_long_as_one_of_its_messages() {
    let bench = Bench::new().await;
    let listed = |id: &str| {
        let channel = ChannelRow { external_id: "live".to_owned(), kind: Patch::Keep, name: Patch::Keep };
        let row = ConversationRow {
            external_id: id.to_owned(),
            channel: Patch::Set("live".to_owned()),
            deleted_at_ms: Patch::Clear,
            ..ConversationRow::default()
        };
        record("threads", id, vec![Row::Channel(channel), Row::Conversation(row)])
    };
    let of = |conversation: &str, id: &str| {
        said(MessageRow { conversation: conversation.to_owned(), ..message(id, "o", "kept") })
    };
    let sweep = async |stream: &'static str, records: Vec<Record>| {
        let first = Batch {
            stretch: Some(Stretch { stream, after: None, up_to: None }),
            sweep: Some(SweepPoint::Begin(stream)),
            ..bench.batch(records)
        };
        bench.store.commit(first).await.unwrap();
        let end = Batch { sweep: Some(SweepPoint::End(stream)), ..bench.batch(vec![]) };
        bench.store.commit(end).await.unwrap().counts.conversations.deleted
    };
    let live = "SELECT group_concat(external_id, ' ') FROM
        (SELECT external_id FROM conversations WHERE deleted_at_ms IS NULL ORDER BY external_id)";
    // The list shows 8 and, as it turns out, never shows 9 and 10.
    let all = || vec![of("8", "1"), of("9", "2"), of("9", "3"), of("10", "4")];
    assert_eq!((sweep("messages", all()).await, sweep("threads", vec![listed("8")]).await), (0, 0));
    let broken = Record::new("threads", raw("7", "{}"), Err(Reject::normalise("$.at", "no time")));
    assert_eq!(sweep("threads", vec![listed("8"), broken]).await, 0);
    for _ in 0..2 {
        assert_eq!(sweep("messages", vec![of("10", "4")]).await, 0, "it may be what cannot be read");
    }
    bench.commit(vec![listed("7")]).await;
    assert_eq!(sweep("threads", vec![]).await, 0, "a list without rows proves nothing");
    assert_eq!(sweep("threads", vec![listed("7"), listed("8")]).await, 1);
    assert_eq!(bench.text(live), "10 7 8");
    let rev = bench.rev();
    assert_eq!(sweep("threads", vec![listed("7"), listed("8")]).await, 0);
    assert_eq!(bench.rev(), rev, "what is gone is gone once");
    // Whatever shows it again: a message without a time, or a list.
    let timeless = said(MessageRow { conversation: "9".to_owned(), sent_at_ms: None, ..message("5", "o", "new") });
    bench.commit(vec![timeless]).await;
    assert_eq!(bench.text(live), "10 7 8 9");
    assert_eq!(sweep("messages", vec![of("10", "4")]).await, 0);
    assert_eq!(sweep("messages", vec![of("10", "4")]).await, 1);
    bench.commit(vec![listed("9")]).await;
    assert_eq!(bench.text(live), "10 7 8 9");
}
