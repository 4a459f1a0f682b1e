//! Against the simulated workspace, over real HTTP: what is asked, what is learnt, what is called incomplete.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::http::{Http, HttpSettings, Pacer};
use crate::model::{Row, StreamKey};
use crate::provider::zaia::{Pagination, Settings};
use crate::provider::{Ask, Facts, Provider as _, UnknownParticipant};
use crate::sim::ZaiaSim;
use crate::sim::zaia::{Keeps, PaginationEncoding, Unsupported, ZaiaData};

#[path = "refusals_tests.rs"]
mod refusals;

const AT: i64 = 1_767_323_045_000;
const MESSAGES: &str = "/api/v1/chat-messages";
const THREADS: &str = "/api/v1/chat-threads";

/// A workspace with one chat of so many messages, a second apart.
fn workspace(messages: i64) -> (ZaiaData, String) {
    let mut data = ZaiaData::new();
    let channel = data.add_channel("widget", "Site");
    let (agent, owner) = (data.add_agent("Iris"), data.add_external_user(&channel, None, Some("Ana Example")));
    let chat = data.add_chat(Some(&channel), &owner, &agent, AT);
    for n in 0..messages {
        data.add_message(&chat, "user", Some(&owner), AT + n * 1000, &n.to_string());
    }
    (data, chat)
}

struct Stage {
    sim: ZaiaSim,
    facts: Arc<Facts>,
    zaia: Zaia,
}

impl Stage {
    async fn of(data: ZaiaData) -> Self {
        Self::with(data, Pagination::Auto).await
    }

    async fn with(data: ZaiaData, pagination: Pagination) -> Self {
        let sim = ZaiaSim::start(data).await.unwrap();
        let settings = HttpSettings {
            base_url: sim.base_url().parse().unwrap(),
            auth_header: "authorization",
            auth_value: "zaia-key".into(),
            private_network: false,
            roots: Vec::new(),
            timeout: Duration::from_secs(20),
            max_body_bytes: 64 << 20,
            subject: crate::telemetry::Subject::nobody(),
        };
        let http = Http::new(settings, Arc::new(Pacer::new(1_000_000)), CancellationToken::new()).unwrap();
        let facts = Arc::new(Facts::new(BTreeMap::new()));
        let settings = Settings { pagination, lookback_ms: 0 };
        Self { sim, facts: Arc::clone(&facts), zaia: Zaia::new(http, facts, settings) }
    }

    async fn fetch(&self, chat: &str) -> ConversationPage {
        self.fetch_again(chat, 0).await
    }

    /// Fetches a chat of which so many messages are stored already.
    async fn fetch_again(&self, chat: &str, stored_messages: i64) -> ConversationPage {
        let last = self.sim.world().data.chats.iter().find(|one| one.id == chat).and_then(|chat| chat.last_message_ms);
        let job = Job {
            external_id: chat.to_owned(),
            reported_messages: None,
            reported_last_ms: last,
            stored_messages,
            unlisted: false,
        };
        match self.zaia.conversation(&job, None).await.unwrap() {
            Fetched::Page(page) => page,
            Fetched::Gone => panic!("the chat is there"),
        }
    }

    fn asked(&self, endpoint: &str) -> usize {
        self.sim.world().count(endpoint)
    }

    fn fact(&self, name: &str) -> Option<String> {
        self.facts.get(name)
    }
}

fn count(page: &ConversationPage, stream: &str) -> usize {
    page.records.iter().filter(|(name, _)| *name == stream).count()
}

#[tokio::test]
async fn a_short_chat_takes_one_request() {
    let (data, chat) = workspace(1);
    let stage = Stage::of(data).await;
    let page = stage.fetch(&chat).await;
    assert_eq!((count(&page, "messages"), page.incomplete, page.refetch_all), (1, None, false));
    assert_eq!((stage.asked(MESSAGES), stage.sim.world().requests()), (1, 1));
    assert_eq!(stage.fact("pagination").as_deref(), Some("brackets"));
    assert_eq!(stage.fact("pagination_proven"), None);
}

#[tokio::test]
async fn whatever_the_encoding_a_long_chat_comes_whole() {
    for encoding in [PaginationEncoding::Brackets, PaginationEncoding::Json, PaginationEncoding::Plain] {
        for unsupported in [Unsupported::Ignored, Unsupported::Rejected] {
            for newest_first in [false, true] {
                for messages in [250, 251, 600] {
                    let (mut data, chat) = workspace(messages);
                    data.quirks.pagination = encoding;
                    data.quirks.unsupported = unsupported;
                    data.quirks.newest_first = newest_first;
                    let stage = Stage::of(data).await;
                    let page = stage.fetch(&chat).await;
                    let told = format!("{encoding:?} {unsupported:?} {messages}");
                    assert_eq!(count(&page, "messages"), usize::try_from(messages).unwrap(), "{told}");
                    assert_eq!(page.incomplete, None, "{told}");
                    assert!(stage.fact("pagination_proven").is_some(), "{told}");
                    let before = stage.asked(MESSAGES);
                    let page = stage.fetch_again(&chat, messages).await;
                    assert_eq!(page.incomplete, None, "{told}");
                    let requests = if messages == 250 { 2 } else { 1 };
                    assert_eq!(stage.asked(MESSAGES), before + requests, "only the default is probed again: {told}");
                }
            }
        }
    }
}

#[tokio::test]
async fn where_no_encoding_works_250_messages_are_called_incomplete() {
    for unsupported in [Unsupported::Ignored, Unsupported::Rejected] {
        for keeps in [Keeps::Newest, Keeps::Oldest] {
            let (mut data, chat) = workspace(300);
            data.quirks.pagination = PaginationEncoding::None;
            data.quirks.unsupported = unsupported;
            data.quirks.keeps = keeps;
            let stage = Stage::of(data).await;
            let page = stage.fetch(&chat).await;
            assert_eq!((count(&page, "messages"), page.incomplete), (250, Some("limit")));
            let page = stage.fetch(&chat).await;
            assert_eq!(page.incomplete, Some("limit"));
            assert!(!page.refetch_all);
        }
    }
}

#[tokio::test]
async fn a_server_that_stops_obeying_the_limit_is_not_believed_any_more() {
    for unsupported in [Unsupported::Ignored, Unsupported::Rejected] {
        for stored in [0, 240, 600] {
            let (mut data, chat) = workspace(600);
            data.quirks.unsupported = unsupported;
            let stage = Stage::of(data).await;
            assert_eq!(stage.fetch(&chat).await.incomplete, None);
            assert_eq!(stage.fact("pagination_proven").as_deref(), Some("brackets"));

            stage.sim.world().data.quirks.pagination = PaginationEncoding::None;
            for _ in 0..2 {
                let page = stage.fetch_again(&chat, stored).await;
                assert_eq!(
                    (count(&page, "messages"), page.incomplete),
                    (250, Some("limit")),
                    "{unsupported:?} {stored}"
                );
            }
            // A refusal in words may be meant for this chat alone; what was ignored is no proof any more.
            let forgotten = unsupported == Unsupported::Ignored;
            let fact = if forgotten { "nothing" } else { "brackets" };
            assert_eq!(stage.fact("pagination_proven").as_deref(), Some(fact));

            stage.sim.world().data.quirks.pagination = PaginationEncoding::Brackets;
            let page = stage.fetch_again(&chat, stored).await;
            assert_eq!(page.incomplete, None, "and believed again when it proves itself");
            assert_eq!(page.refetch_all, forgotten, "other chats may have been called incomplete meanwhile");
        }
    }
}

#[tokio::test]
async fn a_fixed_encoding_is_doubted_with_one_probe_of_its_own() {
    for proven_before in [false, true] {
        for stored in [0, 300] {
            let (mut data, chat) = workspace(300);
            data.quirks.pagination = PaginationEncoding::Json;
            let stage = Stage::with(data, Pagination::Plain).await;
            if proven_before {
                stage.facts.set("pagination", "plain");
                stage.facts.set("pagination_proven", "plain");
            }
            let page = stage.fetch_again(&chat, stored).await;
            assert_eq!((count(&page, "messages"), page.incomplete), (250, Some("limit")));
            assert_eq!(stage.asked(MESSAGES), 2);
            assert_eq!(stage.fact("pagination_proven").as_deref(), Some("nothing"));
        }
    }
}

#[tokio::test]
async fn a_round_number_of_rows_is_doubted_where_more_are_stored() {
    let (data, chat) = workspace(600);
    let stage = Stage::of(data).await;
    let _ = stage.fetch(&chat).await;
    let gone: Vec<String> = stage.sim.world().data.messages[..500].iter().map(|message| message.id.clone()).collect();
    for id in gone {
        stage.sim.world().data.purge_message(&id);
    }
    let before = stage.asked(MESSAGES);
    assert_eq!(stage.fetch_again(&chat, 600).await.incomplete, None, "the limit is obeyed: they were removed");
    assert_eq!(stage.asked(MESSAGES), before + 2);
    let _ = stage.fetch_again(&chat, 100).await;
    assert_eq!(stage.asked(MESSAGES), before + 3, "nothing to doubt");
    stage.sim.world().data.quirks.pagination = PaginationEncoding::None;
    assert_eq!(stage.fetch_again(&chat, 600).await.incomplete, Some("limit"));
}

#[tokio::test]
async fn a_thousand_messages_may_be_more() {
    let (data, chat) = workspace(1200);
    let page = Stage::of(data).await.fetch(&chat).await;
    assert_eq!((count(&page, "messages"), page.incomplete), (1000, Some("limit")));
}

#[tokio::test]
async fn a_chat_that_lacks_its_newest_message_is_behind() {
    let (mut data, chat) = workspace(3);
    data.change_chat(&chat, |chat| chat.last_message_ms = Some(AT + 60_000));
    let stage = Stage::of(data).await;
    assert_eq!(stage.fetch(&chat).await.incomplete, Some("behind"));
    assert_eq!(stage.asked(THREADS), 1, "it may stand in a thread");
}

/// A chat with a side thread, of an older and a newer message than the plain ones.
fn threaded(hidden: bool) -> (ZaiaData, String) {
    let (mut data, chat) = workspace(3);
    data.quirks.hide_threaded = hidden;
    let hung_on = data.messages[0].id.clone();
    let thread = data.add_thread(&chat, &hung_on, AT);
    for at in [AT + 1500, AT + 9000] {
        let inner = data.add_message(&chat, "assistant", None, at, "aside");
        data.change_message(&inner, |message| message.thread = Some(thread.clone()));
    }
    (data, chat)
}

#[tokio::test]
async fn threads_that_are_left_out_are_found_and_fetched_from_then_on() {
    let (data, chat) = threaded(true);
    let stage = Stage::of(data).await;
    let page = stage.fetch(&chat).await;
    assert_eq!((count(&page, "messages"), page.incomplete, page.refetch_all), (5, None, true));
    assert_eq!(stage.fact("threads").as_deref(), Some("omitted"));
    let times: Vec<_> = page.records.iter().map(|(_, record)| record.key.unwrap() - AT).collect();
    assert_eq!(times, [0, 1000, 1500, 2000, 9000]);
    let again = stage.fetch(&chat).await;
    assert_eq!((count(&again, "messages"), again.incomplete, again.refetch_all), (5, None, false));
}

#[tokio::test]
async fn threads_that_are_included_are_never_asked_for() {
    let (data, chat) = threaded(false);
    let stage = Stage::of(data).await;
    let page = stage.fetch(&chat).await;
    assert_eq!((count(&page, "messages"), page.incomplete, page.refetch_all), (5, None, false));
    assert_eq!(stage.fact("threads").as_deref(), Some("included"));
    assert_eq!(stage.asked(THREADS), 0);
    let before = stage.asked(MESSAGES);
    let _ = stage.fetch(&chat).await;
    assert_eq!(stage.asked(MESSAGES), before + 1);
}

#[tokio::test]
async fn a_message_sent_between_two_questions_is_no_proof() {
    let (mut data, chat) = workspace(2);
    let hung_on = data.messages[0].id.clone();
    data.add_thread(&chat, &hung_on, AT);
    let stage = Stage::of(data).await;
    let thread = stage.sim.world().data.threads[0].id.clone();
    let target = chat.clone();
    let mut sent = false;
    stage.sim.world().before_request = Some(Box::new(move |data, request| {
        if !sent && request.segments.iter().any(|part| part == "chat-threads") {
            sent = true;
            let inner = data.add_message(&target, "assistant", None, AT + 9000, "aside");
            data.change_message(&inner, |message| message.thread = Some(thread.clone()));
        }
    }));
    let page = stage.fetch(&chat).await;
    assert_eq!(count(&page, "messages"), 3);
    assert!(!page.refetch_all);
    assert_ne!(stage.fact("threads").as_deref(), Some("omitted"));
}

#[tokio::test]
async fn probes_that_fail_cost_the_chat_nothing() {
    let (data, chat) = workspace(4);
    let stage = Stage::of(data).await;
    stage.sim.world().forbid("/api/v1/chat-threads");
    let page = stage.fetch(&chat).await;
    assert_eq!((count(&page, "messages"), page.incomplete), (4, None));
    assert_eq!(stage.fact("threads"), None);
}

#[tokio::test]
async fn senders_whose_role_does_not_tell_are_asked_for_once() {
    let (mut data, chat) = workspace(1);
    let human = data.add_user("Noor Vale", "noor@example.test");
    data.add_message(&chat, "attendant", Some(&human), AT + 1000, "I take over");
    let stage = Stage::of(data).await;
    let page = stage.fetch(&chat).await;
    assert_eq!((count(&page, "messages"), count(&page, "senders")), (2, 1));
    assert_eq!(page.records[0].1.id.as_deref(), Some(human.as_str()));
    let before = stage.asked(MESSAGES);
    assert_eq!(count(&stage.fetch(&chat).await, "senders"), 0);
    assert_eq!(stage.asked(MESSAGES), before + 1);
}

#[tokio::test]
async fn a_join_that_does_not_work_is_given_up_and_costs_no_message() {
    for unsupported in [Unsupported::Ignored, Unsupported::Rejected] {
        let (mut data, chat) = workspace(1);
        data.quirks.no_joins = true;
        data.quirks.unsupported = unsupported;
        for n in 1..6 {
            let human = data.add_user("Noor Vale", "noor@example.test");
            data.add_message(&chat, "attendant", Some(&human), AT + n * 1000, "I take over");
        }
        let stage = Stage::of(data).await;
        let page = stage.fetch(&chat).await;
        assert_eq!((count(&page, "messages"), count(&page, "senders")), (6, 0));
        assert_eq!(stage.fact("senders").as_deref(), Some("1"));
    }
}

#[tokio::test]
async fn check_tries_every_endpoint_and_says_what_is_missing() {
    let (data, _) = workspace(1);
    let stage = Stage::of(data).await;
    stage.sim.world().forbid("/api/v1/external-users");
    let lines = stage.zaia.check().await;
    let failed: Vec<_> = lines.iter().filter(|line| line.result.is_err()).map(|line| line.what.as_str()).collect();
    assert_eq!((lines.len(), failed), (6, vec!["external-users"]));
    assert!(lines.iter().all(|line| line.optional || line.result.is_ok()));
    assert!(stage.sim.world().only_read());
}

#[tokio::test]
async fn windows_hold_their_bounds_whether_the_server_includes_them_or_not() {
    for exclusive in [false, true] {
        let (mut data, chat) = workspace(1);
        data.quirks.window_exclusive = exclusive;
        let stage = Stage::of(data).await;
        let window = |from, to| Ask::Window { from: Some(from), to: Some(to), number: 1, limit: 100 };
        let ids = async |ask: Ask| {
            let page = stage.zaia.page(&StreamKey::plain("chats"), &ask).await.unwrap();
            assert_eq!(page.last, Some(true));
            page.records.into_iter().filter_map(|record| record.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(window(AT, AT)).await, [chat.as_str()]);
        assert_eq!(ids(window(AT, AT + 5)).await, [chat.as_str()]);
        assert!(ids(window(AT + 2, AT + 5)).await.is_empty());
    }
}

#[tokio::test]
async fn a_contact_is_looked_up_by_the_details_of_its_chat() {
    let (data, chat) = workspace(1);
    let stage = Stage::of(data).await;
    let participant = |contact_of: Option<&str>| UnknownParticipant {
        external_id: "5c1d".to_owned(),
        contact_of: contact_of.map(str::to_owned),
    };
    let found = stage.zaia.lookup(&participant(Some(&chat))).await.unwrap().unwrap();
    let rows = stage.zaia.normalise(found.stream, &found.record).unwrap();
    assert!(rows.iter().any(|row| matches!(row, Row::Contact(hint) if hint.name.as_deref() == Some("Ana Example"))));
    let nobody = "00000000-0000-4000-8000-000000000000";
    assert!(stage.zaia.lookup(&participant(Some(nobody))).await.unwrap().is_none());
    assert!(stage.zaia.lookup(&participant(None)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_question_that_cannot_be_asked_is_rejected_without_asking() {
    let (data, _) = workspace(1);
    let stage = Stage::of(data).await;
    let asked = stage.zaia.page(&StreamKey::plain("chats"), &Ask::Newest { limit: 1 }).await;
    assert!(matches!(asked, Err(FetchError::Rejected { .. })));
    assert_eq!(stage.sim.world().requests(), 0);
}
