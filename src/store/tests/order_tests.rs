//! Messages that share one time: they stand as the latest reading has them.

use super::*;

/// A message as a reading has it: its place there, when it was sent.
fn read(id: &str, seq: i64, sent_at_ms: i64) -> Record {
    let row = MessageRow { seq, sent_at_ms: Some(sent_at_ms), ..message(id, "o", "kept") };
    // A place is no part of what a record says.
    let raw = RawRecord { seq, ..raw(id, &format!("\"{id}\"")) };
    Record::new("messages", raw, Ok(vec![Row::Message(row)]))
}

const ORDER: &str =
    "SELECT group_concat(external_id, ' ') FROM (SELECT external_id FROM messages ORDER BY sent_at_ms, seq, id)";

#[tokio::test]
async fn an_answer_of_the_same_moment_follows_its_question_though_places_moved() {
    let mut bench = Bench::new().await;
    bench.commit(vec![read("hello", 0, 10), read("welcome", 1, 10), read("question", 2, 20)]).await;
    bench.next_run().await;
    // What came before it is gone, so its place is another one now.
    let counts = bench.commit(vec![read("question", 0, 20), read("answer", 1, 20)]).await;
    assert_eq!(bench.text(ORDER), "hello welcome question answer");
    let messages = counts.messages;
    assert_eq!((messages.inserted, messages.updated, messages.unchanged), (1, 1, 0));
    let rev = bench.rev();
    bench.next_run().await;
    let counts = bench.commit(vec![read("question", 0, 20), read("answer", 1, 20)]).await;
    assert_eq!((bench.rev(), counts.messages.unchanged), (rev, 2), "in order");
}

#[tokio::test]
async fn one_that_comes_late_stands_where_its_list_has_it() {
    let bench = Bench::new().await;
    bench.commit(vec![read("a", 0, 10), read("c", 1, 10), read("d", 2, 30)]).await;
    bench.commit(vec![read("a", 0, 10), read("b", 1, 10), read("c", 2, 10), read("d", 3, 30)]).await;
    assert_eq!(bench.text(ORDER), "a b c d");
    assert_eq!(bench.text("SELECT seq FROM messages WHERE external_id = 'd'"), "2", "alone at its time");
    // The list is read from its other end, as it should have been from the beginning.
    bench.commit(vec![read("d", 0, 30), read("c", 1, 10), read("b", 2, 10), read("a", 3, 10)]).await;
    assert_eq!(bench.text(ORDER), "c b a d");
    assert_eq!(
        bench.text("SELECT group_concat(external_id, ' ') FROM (SELECT * FROM raw_records WHERE external_id <> 'd' ORDER BY seq)"),
        "c b a",
        "made anew of its record, a message has its place"
    );
    assert_eq!(bench.text("SELECT count(DISTINCT rev) FROM messages"), "4", "each has a change number of its own");
    // What stands twice in a list has one place.
    let twice = || vec![read("a", 0, 10), read("b", 1, 10), read("c", 2, 10), read("a", 7, 10), read("b", 8, 10)];
    bench.commit(twice()).await;
    let rev = bench.rev();
    bench.commit(twice()).await;
    assert_eq!((bench.text(ORDER), bench.rev()), ("a b c d".to_owned(), rev));
}

#[tokio::test]
async fn part_of_a_moment_says_nothing_of_its_other_messages() {
    let bench = Bench::new().await;
    bench.commit(vec![read("a", 103, 10), read("b", 104, 10), read("c", 105, 10)]).await;
    // The page before this one has the first two; five before them are gone.
    bench.commit(vec![read("c", 100, 10), read("d", 101, 10)]).await;
    assert_eq!(bench.text("SELECT seq FROM messages WHERE external_id = 'c'"), "105");
    bench.commit(["a", "b", "c", "d"].iter().zip(98..).map(|(id, seq)| read(id, seq, 10)).collect()).await;
    assert_eq!(bench.text(ORDER), "a b c d");
}
