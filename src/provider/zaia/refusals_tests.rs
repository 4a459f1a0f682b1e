//! What a refusal, a 404 or more rows than a limit lets through are taken for.

use serde_json::json;

use super::*;
use crate::sim::{Answer, Fault};

const CHAT: &str = "/api/v1/chats/{id}";

async fn fetched(stage: &Stage, chat: &str, unlisted: bool) -> Result<Fetched, FetchError> {
    let job = Job {
        external_id: chat.to_owned(),
        reported_messages: None,
        reported_last_ms: None,
        stored_messages: 0,
        unlisted,
    };
    stage.zaia.conversation(&job, None).await
}

#[tokio::test]
async fn a_chat_that_is_gone_is_gone() {
    for unlisted in [false, true] {
        let (mut data, chat) = workspace(1);
        data.purge_chat(&chat);
        let stage = Stage::of(data).await;
        assert!(matches!(fetched(&stage, &chat, unlisted).await, Ok(Fetched::Gone)));
        assert_eq!(stage.asked(CHAT), 1);
    }
}

#[tokio::test]
async fn a_chat_that_says_that_it_is_removed_is_gone_where_its_messages_are_not_found() {
    let (mut data, chat) = workspace(1);
    data.remove_chat(&chat, AT + 5);
    let stage = Stage::of(data).await;
    stage.sim.world().fault(MESSAGES, Fault::status(404));
    assert!(matches!(fetched(&stage, &chat, false).await, Ok(Fetched::Gone)));
}

#[tokio::test]
async fn messages_that_are_not_found_are_no_proof_that_a_chat_is_gone() {
    for unlisted in [false, true] {
        for status in [404, 410] {
            let (data, chat) = workspace(3);
            let stage = Stage::of(data).await;
            stage.sim.world().fault(MESSAGES, Fault::status(status));
            let error = fetched(&stage, &chat, unlisted).await.unwrap_err();
            assert!(error.to_string().contains("the chat is there, but its messages are not answered"), "{error}");
            assert_eq!(stage.fetch(&chat).await.records.len(), 3, "the next pass has them");
        }
    }
    // Where the chat does not answer either, nothing is known.
    let (data, chat) = workspace(3);
    let stage = Stage::of(data).await;
    stage.sim.world().fault(MESSAGES, Fault::status(404));
    stage.sim.world().forbid("/api/v1/chats/");
    assert!(matches!(fetched(&stage, &chat, false).await, Err(FetchError::Forbidden { .. })));
}

/// Lets one question for messages pass, or refuses it.
fn script(stage: &Stage, refused: &[bool]) {
    for refused in refused {
        stage.sim.world().fault(MESSAGES, if *refused { Fault::status(400) } else { Fault::Pass });
    }
}

/// A limit is obeyed in brackets, unless it is as large as it is asked for; in other spellings nothing comes of it.
#[tokio::test]
async fn where_the_largest_limit_is_refused_the_rows_in_hand_are_kept() {
    // Brackets, then JSON, which brings 250; one row each of these, 1000 in brackets again, and one row more.
    let asked = [true, false, false, false, true];
    for (messages, one_more_refused, incomplete) in
        [(300, false, Some("limit")), (300, true, Some("limit")), (250, false, None), (250, true, Some("limit"))]
    {
        let (data, chat) = workspace(messages);
        let stage = Stage::of(data).await;
        script(&stage, &asked);
        script(&stage, &[one_more_refused]);
        let page = stage.fetch(&chat).await;
        let told = format!("{messages} messages, one more refused: {one_more_refused}");
        assert_eq!((count(&page, "messages"), page.incomplete), (250, incomplete), "{told}");
        assert_eq!((stage.asked(MESSAGES), stage.sim.world().faults_left()), (6, 0), "{told}");
        // Once it is taken, the chat comes whole, and the others that were called incomplete deserve another look.
        let page = stage.fetch_again(&chat, 250).await;
        assert_eq!(count(&page, "messages"), usize::try_from(messages).unwrap(), "{told}");
        assert_eq!((page.incomplete, page.refetch_all), (None, incomplete.is_some()), "{told}");
    }
}

#[tokio::test]
async fn a_limit_that_was_obeyed_is_not_forgotten_for_one_chat_that_it_is_refused_for() {
    let (data, chat) = workspace(300);
    let stage = Stage::of(data).await;
    assert_eq!(stage.fetch(&chat).await.incomplete, None);
    let proven = stage.fact("pagination_proven");
    script(&stage, &[true, false, false, false, true, false]);
    let page = stage.fetch_again(&chat, 300).await;
    assert_eq!((count(&page, "messages"), page.incomplete), (250, Some("limit")));
    assert_eq!(stage.fact("pagination_proven"), proven);
    assert_eq!(stage.fetch_again(&chat, 300).await.incomplete, None);
}

/// Whatever a question for messages asks for, these many come.
fn answered_with(stage: &Stage, chat: &str, messages: usize, questions: usize) {
    let message = |n: usize| json!({"id": n, "chatId": chat, "role": "user", "createdAt": "2026-01-02T10:00:00Z"});
    let rows = (0..messages).map(message).collect();
    stage.sim.world().faults(MESSAGES, questions, &Fault::Raw(Answer::json(200, &serde_json::Value::Array(rows))));
}

#[tokio::test]
async fn a_server_without_any_limit_has_its_chats_read_anew_once() {
    let (data, chat) = workspace(1);
    let stage = Stage::of(data).await;
    // How many rows come, how many questions that takes, and what comes of it.
    let fetches = [
        (251, 1, None, false, "brackets"),
        // No spelling brings one row.
        (250, 4, Some("limit"), false, "nothing"),
        // Nor does it here, and more than the default comes.
        (251, 2, None, true, "no_limit"),
        (250, 1, Some("limit"), false, "no_limit"),
        (251, 1, None, false, "no_limit"),
        (100, 1, None, false, "no_limit"),
    ];
    for (at, (messages, questions, incomplete, refetch_all, fact)) in fetches.into_iter().enumerate() {
        answered_with(&stage, &chat, messages, questions);
        let page = stage.fetch(&chat).await;
        assert_eq!((count(&page, "messages"), stage.sim.world().faults_left()), (messages, 0), "{at}");
        assert_eq!((page.incomplete, page.refetch_all), (incomplete, refetch_all), "{at}");
        assert_eq!(stage.fact("pagination_proven").as_deref(), Some(fact), "{at}");
    }
}

#[tokio::test]
async fn a_limit_that_is_raised_where_it_is_small_is_obeyed_all_the_same() {
    for (least, messages) in [(10, 250), (100, 250), (10, 600)] {
        let (mut data, chat) = workspace(messages);
        data.quirks.pagination = PaginationEncoding::Json;
        data.quirks.least_limit = least;
        let stage = Stage::of(data).await;
        for _ in 0..3 {
            let page = stage.fetch(&chat).await;
            assert_eq!(count(&page, "messages"), usize::try_from(messages).unwrap(), "{least} {messages}");
            assert_eq!((page.incomplete, page.refetch_all), (None, false), "{least} {messages}");
        }
        assert_eq!(stage.fact("pagination_proven").as_deref(), Some("json"));
    }
}

/// A spelling that is ignored brings the default, which is no sign that it is obeyed, however many rows are in hand.
#[tokio::test]
async fn a_spelling_that_is_ignored_takes_the_place_of_none_that_was_proven() {
    let (data, chat) = workspace(510);
    let stage = Stage::of(data).await;
    assert_eq!(count(&stage.fetch(&chat).await, "messages"), 510);
    let gone: Vec<String> = stage.sim.world().data.messages[..10].iter().map(|message| message.id.clone()).collect();
    {
        let data = &mut stage.sim.world().data;
        gone.iter().for_each(|id| data.purge_message(id));
        data.quirks.least_limit = 300;
    }
    let page = stage.fetch_again(&chat, 510).await;
    assert_eq!((count(&page, "messages"), page.incomplete), (500, Some("limit")));
    assert_ne!(stage.fact("pagination_proven").as_deref(), Some("json"));
    assert_eq!(count(&stage.fetch_again(&chat, 500).await, "messages"), 500);
}
