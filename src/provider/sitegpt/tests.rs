//! Stories of whole fetches, against a small server on the loopback.

use super::testing::{Script, Server, fixture};
use super::*;
use crate::model::MessageRow;

const ID: &str = "399/7c0e2b54-0001";
const V0_THREAD: &str = "/api/v0/chatbots/399/threads/7c0e2b54-0001?includeChatUser=true";
const V0_THREAD_BARE: &str = "/api/v0/chatbots/399/threads/7c0e2b54-0001";
const V2_PAGE_1: &str = "/api/v2/chatbots/399/conversations/7c0e2b54-0001/messages?limit=100";
const V2_PAGE_2: &str = "/api/v2/chatbots/399/conversations/7c0e2b54-0001/messages?limit=100&cursor=bmV4dA%3D%3D";

const PASS: Pass = Pass { first: true, full: false, ranged: false };

fn job(reported: Option<i64>) -> Job {
    Job {
        external_id: ID.to_owned(),
        reported_messages: reported,
        reported_last_ms: None,
        stored_messages: 0,
        unlisted: false,
    }
}

/// Every page of a conversation: its records, and what the last page says.
async fn whole(source: &Sitegpt, job: &Job) -> (Vec<(&'static str, RawRecord)>, Option<&'static str>) {
    let mut records = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let Fetched::Page(page) = source.conversation(job, next.as_deref()).await.unwrap() else { panic!("gone") };
        records.extend(page.records);
        next = page.next;
        if next.is_none() {
            return (records, page.incomplete);
        }
    }
}

fn messages(source: &Sitegpt, records: &[(&'static str, RawRecord)]) -> Vec<MessageRow> {
    let rows = records.iter().flat_map(|(stream, raw)| source.normalise(stream, raw).unwrap());
    rows.filter_map(|row| if let Row::Message(row) = row { Some(row) } else { None }).collect()
}

#[tokio::test]
async fn both_generations_tell_the_same_conversation() {
    let server = Server::start(vec![
        (V0_THREAD, 200, fixture("v0_thread")),
        (V2_PAGE_1, 200, fixture("v2_messages_1")),
        (V2_PAGE_2, 200, fixture("v2_messages_2")),
    ])
    .await;
    let (v0, _) = server.source(Api::V0, &[]);
    let (v2, _) = server.source(Api::V2, &[]);
    let (old, new) = (whole(&v0, &job(Some(15))).await, whole(&v2, &job(Some(15))).await);
    assert_eq!((old.1, new.1), (None, None));
    assert_eq!(old.0.first().map(|(stream, raw)| (*stream, raw.id.as_deref())), Some((THREAD, Some(ID))));
    assert!(!old.0[0].1.json.get().contains("361628903185318401"), "the head comes without its messages");

    let what = |row: &MessageRow| {
        (
            row.conversation.clone(),
            row.external_id.clone(),
            row.author_kind,
            row.author.clone(),
            row.kind,
            row.event.clone(),
            row.seq,
            row.body_text.clone(),
            row.reaction,
            row.citations.clone(),
        )
    };
    let (old, new) = (messages(&v0, &old.0), messages(&v2, &new.0));
    assert_eq!(old.iter().map(what).collect::<Vec<_>>(), new.iter().map(what).collect::<Vec<_>>());
    assert_eq!(old.len(), 21);
    assert!(old.iter().all(|row| row.version.is_none()) && new.iter().all(|row| row.version.is_some()));
    let ids: std::collections::BTreeSet<_> = old.iter().map(|row| &row.external_id).collect();
    assert_eq!(ids.len(), old.len());
}

#[tokio::test]
async fn no_secret_gets_into_a_record() {
    let server = Server::start(vec![
        ("/api/v0/chatbots?page=1&limit=100", 200, fixture("v0_chatbots")),
        ("/api/v2/chatbots?limit=100", 200, fixture("v2_chatbots")),
        ("/api/v0/chatbots/399/threads?page=1&limit=100", 200, fixture("v0_threads")),
        ("/api/v2/chatbots/399/conversations?limit=100&includeEmpty=true&status=all", 200, fixture("v2_conversations")),
        (V0_THREAD, 200, fixture("v0_thread")),
    ])
    .await;
    let (v0, _) = server.source(Api::V0, &[]);
    let (v2, _) = server.source(Api::V2, &[]);
    let first = Ask::Number { number: 1, limit: 100 };
    let start = Ask::Token { token: None, limit: 500 };
    let mut records = Vec::new();
    for stream in [StreamKey::plain(CHATBOTS), StreamKey::scoped(THREADS, "399")] {
        let (old, new) = (v0.page(&stream, &first).await.unwrap(), v2.page(&stream, &start).await.unwrap());
        let ids = |page: &Page| page.records.iter().map(|raw| raw.id.clone().unwrap()).collect::<Vec<_>>();
        assert_eq!(ids(&old), ids(&new), "the same ids from either");
        assert_eq!((old.last, new.last), (None, Some(true)));
        for raw in old.records.into_iter().chain(new.records) {
            v0.normalise(stream.stream, &raw).unwrap();
            records.push(raw);
        }
    }
    assert!(records.iter().any(|raw| raw.id.as_deref() == Some("399/made/up id?")));
    records.extend(whole(&v0, &job(None)).await.0.into_iter().map(|(_, raw)| raw));
    assert!(records.iter().all(|raw| !raw.json.get().contains("hush")));
}

#[tokio::test]
async fn a_strange_thread_id_is_asked_for_as_one_segment() {
    let server = Server::start(Vec::new()).await;
    let (v0, _) = server.source(Api::V0, &[]);
    let strange = Job { external_id: "399/made/up id?".to_owned(), ..job(None) };
    assert!(matches!(v0.conversation(&strange, None).await, Ok(Fetched::Gone)));
    assert_eq!(server.asked(), ["/api/v0/chatbots/399/threads/made%2Fup%20id%3F?includeChatUser=true"]);
}

#[tokio::test]
async fn a_server_that_does_not_know_include_chat_user_is_asked_without_it_from_then_on() {
    let server = Server::start(vec![
        (V0_THREAD, 400, br#"{"success":false,"error":{"code":"REQUEST_VALIDATION_FAILED"}}"#.to_vec()),
        (V0_THREAD_BARE, 200, fixture("v0_thread")),
    ])
    .await;
    let (v0, facts) = server.source(Api::V0, &[]);
    whole(&v0, &job(None)).await;
    whole(&v0, &job(None)).await;
    assert_eq!(server.asked(), [V0_THREAD, V0_THREAD_BARE, V0_THREAD_BARE]);
    assert_eq!(facts.get("include_chat_user").as_deref(), Some("no"));
}

#[tokio::test]
async fn a_thread_that_is_refused_either_way_teaches_nothing() {
    let no = br#"{"success":false,"error":{"code":"REQUEST_VALIDATION_FAILED"}}"#.to_vec();
    let server = Server::start(vec![(V0_THREAD, 400, no.clone()), (V0_THREAD_BARE, 400, no)]).await;
    let (v0, facts) = server.source(Api::V0, &[]);
    assert!(matches!(v0.conversation(&job(None), None).await, Err(FetchError::Rejected { status: 400, .. })));
    assert_eq!(facts.get("include_chat_user"), None);
}

#[tokio::test]
async fn a_missing_chatbot_does_not_make_its_threads_gone() {
    let code = br#"{"success":false,"message":"no","data":null,"error":{"code":"CHATBOT_NOT_FOUND","message":"no"}}"#;
    for (status, body) in [
        (200, code.to_vec()),
        (404, br#"{"success":false,"message":"Chatbot not found","error":{"code":"CHATBOT_NOT_FOUND"}}"#.to_vec()),
    ] {
        let server = Server::start(vec![(V0_THREAD, status, body.clone()), (V2_PAGE_1, status, body)]).await;
        for api in [Api::V0, Api::V2] {
            let (source, _) = server.source(api, &[]);
            let fetched = source.conversation(&job(None), None).await;
            assert!(matches!(fetched, Err(FetchError::NotFound { .. })), "{fetched:?}");
        }
    }
}

#[tokio::test]
async fn a_chatbot_that_its_list_does_not_hold_any_more_takes_its_threads_along() {
    let body = br#"{"success":false,"message":"Chatbot not found","error":{"code":"CHATBOT_NOT_FOUND"}}"#.to_vec();
    let server = Server::start(vec![(V0_THREAD, 404, body.clone()), (V2_PAGE_1, 404, body)]).await;
    for api in [Api::V0, Api::V2] {
        let (source, _) = server.source(api, &[]);
        let is_gone = async || match source.conversation(&job(None), None).await {
            Ok(Fetched::Gone) => true,
            Err(FetchError::NotFound { .. }) => false,
            other => panic!("{other:?}"),
        };
        let list = &source.plan(&PASS)[0];
        let read = |ids: &[&str]| {
            let ids: Vec<String> = ids.iter().map(|&id| id.to_owned()).collect();
            source.fan_out(list, &ids, &PASS);
        };
        assert!(!is_gone().await, "the list was not read");
        read(&["400", "399"]);
        assert!(!is_gone().await, "the list holds it");
        read(&["400", "401"]);
        let _ = source.plan(&PASS);
        assert!(is_gone().await);
        read(&[]);
        assert!(!is_gone().await, "an empty list proves nothing");
        read(&["400"]);
        source.prepare(&PASS).await.unwrap();
        assert!(!is_gone().await, "what an earlier pass read is no proof");
    }
    let (named, _) = server.source(Api::V0, &["399"]);
    let _ = named.plan(&PASS);
    assert!(matches!(named.conversation(&job(None), None).await, Err(FetchError::NotFound { .. })));
}

#[tokio::test]
async fn a_conversation_that_is_shorter_than_reported_says_so() {
    let script: fn() -> Script = || {
        vec![
            (V0_THREAD, 200, fixture("v0_thread")),
            (V2_PAGE_1, 200, fixture("v2_messages_1")),
            (V2_PAGE_2, 200, fixture("v2_messages_2")),
        ]
    };
    let server = Server::start(script()).await;
    for api in [Api::V0, Api::V2] {
        let (source, _) = server.source(api, &[]);
        assert_eq!(whole(&source, &job(Some(22))).await.1, None, "22 halves of 15 messages");
        assert_eq!(whole(&source, &job(Some(23))).await.1, Some("count"));
    }
}

#[tokio::test]
async fn what_the_total_counts_is_learnt_from_conversations_that_come_out_even() {
    let server = Server::start(vec![
        (V0_THREAD, 200, fixture("v0_thread")),
        (V2_PAGE_1, 200, fixture("v2_messages_1")),
        (V2_PAGE_2, 200, fixture("v2_messages_2")),
    ])
    .await;
    for api in [Api::V0, Api::V2] {
        let (source, facts) = server.source(api, &[]);
        assert_eq!(whole(&source, &job(Some(16))).await.1, None, "22 halves of 15 messages");
        assert_eq!(whole(&source, &job(Some(15))).await.1, None);
        assert_eq!(facts.get("total_counts").as_deref(), Some("objects"));
        assert_eq!(whole(&source, &job(Some(16))).await.1, Some("count"), "messages are counted, and one is missing");
        assert_eq!(whole(&source, &job(Some(14))).await.1, None, "one came between the list and the fetch");
    }
}

#[tokio::test]
async fn cursors_that_lead_in_a_circle_end_in_an_error() {
    let page = |next: &str| {
        format!(r#"{{"ok":true,"data":{{"messages":[],"chatbots":[],"pagination":{{"hasNextPage":true,"nextCursor":"{next}"}}}}}}"#)
            .into_bytes()
    };
    let messages = "/api/v2/chatbots/399/conversations/7c0e2b54-0001/messages?limit=100&cursor=";
    let at = |cursor: &str| -> &'static str { format!("{messages}{cursor}").leak() };
    let server = Server::start(vec![
        (V2_PAGE_1, 200, page("a")),
        (at("a"), 200, page("b")),
        (at("b"), 200, page("c")),
        (at("c"), 200, page("a")),
        ("/api/v2/chatbots?limit=100&cursor=x", 200, page("x")),
    ])
    .await;
    let (source, _) = server.source(Api::V2, &[]);
    let mut next = None;
    let error = loop {
        match source.conversation(&job(None), next.as_deref()).await {
            Ok(Fetched::Page(page)) => next = Some(page.next.unwrap()),
            Ok(Fetched::Gone) => panic!("gone"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, FetchError::Unreadable { .. }), "{error}");
    assert!(server.asked().len() < 12, "{:?}", server.asked());
    let ask = Ask::Token { token: Some("x".to_owned()), limit: 100 };
    assert!(matches!(source.page(&StreamKey::plain(CHATBOTS), &ask).await, Err(FetchError::Unreadable { .. })));
}

#[tokio::test]
async fn numbered_pages_end_at_an_empty_one() {
    let empty = br#"{"success":true,"message":"ok","data":{"threads":[]}}"#.to_vec();
    let server = Server::start(vec![("/api/v0/chatbots/399/threads?page=2&limit=100", 200, empty)]).await;
    let (v0, _) = server.source(Api::V0, &[]);
    let page = v0.page(&StreamKey::scoped(THREADS, "399"), &Ask::Number { number: 2, limit: 100 }).await.unwrap();
    assert_eq!((page.records.len(), page.last), (0, Some(true)));
    let odd = v0.page(&StreamKey::scoped(THREADS, "399"), &Ask::Newest { limit: 1 }).await;
    assert!(matches!(odd, Err(FetchError::Rejected { .. })));
}

#[tokio::test]
async fn a_list_that_takes_no_parameters_is_read_whole_without_them() {
    let no = br#"{"success":false,"message":"no","error":{"code":"REQUEST_VALIDATION_FAILED"}}"#.to_vec();
    for (stream, asked, bare, name) in [
        (StreamKey::plain(CHATBOTS), "/api/v0/chatbots?page=1&limit=100", "/api/v0/chatbots", "v0_chatbots"),
        (
            StreamKey::scoped(THREADS, "399"),
            "/api/v0/chatbots/399/threads?page=1&limit=100",
            "/api/v0/chatbots/399/threads",
            "v0_threads",
        ),
    ] {
        let server = Server::start(vec![(asked, 400, no.clone()), (bare, 200, fixture(name))]).await;
        let (v0, facts) = server.source(Api::V0, &[]);
        let first = Ask::Number { number: 1, limit: 100 };
        for _ in 0..2 {
            let page = v0.page(&stream, &first).await.unwrap();
            assert_eq!((page.records.is_empty(), page.last), (false, Some(true)));
        }
        assert_eq!(server.asked(), [asked, bare, bare]);
        // One list that refuses them says nothing of the other.
        let other = if stream.stream == CHATBOTS { "list_params_threads" } else { "list_params_chatbots" };
        assert_eq!(facts.get(other), None);
        assert_eq!(facts.get(&format!("list_params_{}", stream.stream)).as_deref(), Some("refused"));
    }
}

#[tokio::test]
async fn a_list_that_is_refused_either_way_or_on_a_later_page_teaches_nothing() {
    let no = || br#"{"success":false,"message":"no","error":{"code":"REQUEST_VALIDATION_FAILED"}}"#.to_vec();
    let (first, bare) = ("/api/v0/chatbots/399/threads?page=1&limit=100", "/api/v0/chatbots/399/threads");
    let second = "/api/v0/chatbots/399/threads?page=2&limit=100";
    let server = Server::start(vec![(first, 400, no()), (bare, 400, no()), (second, 400, no())]).await;
    let (v0, facts) = server.source(Api::V0, &[]);
    for number in [1, 2] {
        let page = v0.page(&StreamKey::scoped(THREADS, "399"), &Ask::Number { number, limit: 100 }).await;
        assert!(matches!(page, Err(FetchError::Rejected { status: 400, .. })), "{page:?}");
    }
    assert_eq!(server.asked(), [first, bare, second], "the first page took the parameters");
    assert_eq!(facts.get("list_params_threads"), None);
}

#[tokio::test]
async fn the_plan_lists_chatbots_unless_they_are_named() {
    let server = Server::start(Vec::new()).await;
    for (api, shape) in [(Api::V0, Shape::Pages), (Api::V2, Shape::Cursor)] {
        let (all, _) = server.source(api, &[]);
        let plan = all.plan(&PASS);
        assert_eq!(
            plan.iter().map(|feed| (feed.key.to_string(), feed.fans_out)).collect::<Vec<_>>(),
            [("chatbots".to_owned(), true)]
        );
        let ids = ["399", "400", "399", "", "4/1"].map(str::to_owned);
        let feeds = all.fan_out(&plan[0], &ids, &PASS);
        let named = server.source(api, &["399", "400"]).0.plan(&PASS);
        for feeds in [feeds, named] {
            let keys: Vec<_> = feeds.iter().map(|feed| feed.key.to_string()).collect();
            assert_eq!(keys, ["threads/399", "threads/400"]);
            assert!(feeds.iter().all(|feed| feed.shape == shape && !feed.fans_out && feed.page_size == 100));
        }
    }
}

#[tokio::test]
async fn check_tries_the_lists_and_says_what_to_do() {
    let server = Server::start(vec![
        ("/api/v0/chatbots?page=1&limit=100", 200, fixture("v0_chatbots")),
        ("/api/v0/chatbots/399/threads?page=1&limit=100", 200, fixture("v0_threads")),
        (
            "/api/v2/chatbots?limit=100",
            401,
            br#"{"ok":false,"error":{"code":"TOKEN_NOT_VALID","message":"no"}}"#.to_vec(),
        ),
    ])
    .await;
    let lines = server.source(Api::V0, &[]).0.check().await;
    let results: Vec<_> = lines.iter().map(|line| (line.what.as_str(), line.result.as_deref().unwrap())).collect();
    assert_eq!(
        results,
        [("chatbots", "2 chatbots on the first page"), ("threads of chatbot 399", "2 threads on the first page")]
    );
    let lines = server.source(Api::V2, &[]).0.check().await;
    assert_eq!(lines.len(), 1);
    assert!(lines[0].result.as_ref().unwrap_err().contains("90 days"));
}
