//! What the tests of this folder share.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::{Api, Settings, Sitegpt};
use crate::http::{Http, HttpSettings, Pacer};
use crate::model::RawRecord;
use crate::provider::Facts;

/// Any JSON, with keys that SiteGPT's records have.
pub(super) fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|flag| flag.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f32>().prop_filter("JSON has no infinity", |f| f.is_finite()).prop_map(|f| format!("{f:e}")),
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        prop::sample::select(vec![
            r#""AGENT_MESSAGE""#,
            r#""SYSTEM_MESSAGE""#,
            r#""2024-05-07T06:26:01.674375Z""#,
            r#""POSITIVE""#,
            r#""\ud83d""#,
            "1e999",
        ])
        .prop_map(str::to_owned),
    ];
    let key = prop::sample::select(vec![
        "a",
        "id",
        "messageId",
        "threadId",
        "chatbotId",
        "chatUser",
        "chatUserId",
        "question",
        "answer",
        "text",
        "timestamp",
        "messageType",
        "systemMessageType",
        "reaction",
        "sources",
        "url",
        "title",
        "lastMessage",
        "totalMessages",
        "resolved",
        "escalated",
        "agentName",
        "gptModel",
        "createdAt",
        "updatedAt",
        "messages",
        "webhookToken",
    ]);
    leaf.prop_recursive(4, 40, 12, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((key.clone(), inner), 0..12).prop_map(|members| {
                let members: Vec<String> =
                    members.into_iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

/// JSON as a value.
pub(super) fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

/// A fixture of `tests/fixtures/sitegpt`.
pub(super) fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/sitegpt/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A record as a fetch would hand it on.
pub(super) fn record(parent: Option<&str>, seq: i64, json: &str) -> RawRecord {
    RawRecord { id: None, key: None, parent: parent.map(str::to_owned), seq, json: raw(json) }
}

/// Answers requests whose path and query are in the list, in that order where one stands there twice; the rest
/// with 404. What was asked is kept.
pub(super) struct Server {
    pub(super) asked: Arc<Mutex<Vec<String>>>,
    base: String,
}

/// A request's path with its query, and the status and body of its answer.
pub(super) type Script = Vec<(&'static str, u16, Vec<u8>)>;

impl Server {
    pub(super) async fn start(script: Script) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let state = (Arc::new(Mutex::new(script)), Arc::clone(&asked));
        let app = axum::Router::new().fallback(answer).with_state(state);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { asked, base }
    }

    /// A source that reads from this server.
    pub(super) fn source(&self, api: Api, chatbots: &[&str]) -> (Sitegpt, Arc<Facts>) {
        let settings = HttpSettings {
            base_url: self.base.parse().unwrap(),
            auth_header: "authorization",
            auth_value: "Bearer made-up".to_owned().into(),
            private_network: false,
            roots: Vec::new(),
            timeout: Duration::from_secs(20),
            max_body_bytes: 1 << 20,
            subject: crate::telemetry::Subject::nobody(),
        };
        let http = Http::new(settings, Arc::new(Pacer::new(1_000_000)), CancellationToken::new()).unwrap();
        let facts = Arc::new(Facts::default());
        let chatbots = chatbots.iter().map(|&id| id.to_owned()).collect();
        (Sitegpt::new(http, Arc::clone(&facts), Settings { api, chatbots }), facts)
    }

    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

type Shared = (Arc<Mutex<Script>>, Arc<Mutex<Vec<String>>>);

async fn answer(
    axum::extract::State((script, asked)): axum::extract::State<Shared>,
    uri: axum::http::Uri,
) -> (axum::http::StatusCode, Vec<u8>) {
    let wanted = uri.to_string();
    asked.lock().unwrap().push(wanted.clone());
    let mut script = script.lock().unwrap();
    let found = script.iter().position(|(path, _, _)| *path == wanted);
    let (status, body) = found.map_or_else(
        || {
            (
                404,
                br#"{"success":false,"message":"Thread not found","data":null,"error":{"code":"THREAD_NOT_FOUND"}}"#
                    .to_vec(),
            )
        },
        |at| {
            let again = script.iter().filter(|(path, _, _)| *path == wanted).count() > 1;
            let (_, status, body) = if again { script.remove(at) } else { script[at].clone() };
            (status, body)
        },
    );
    (axum::http::StatusCode::from_u16(status).unwrap(), body)
}
