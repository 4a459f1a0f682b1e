//! The rows of one list as one text, and pages cut from it.

use std::collections::HashMap;

use chatloom::sim::bd::{BdData, BdMessage, TokenLookup, page_token, read_page_token};
use chatloom::sim::{BdSim, Rng};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::words::{roll, text, word};

/// Monday, 2 March 2026, 12:00 UTC.
const NOW_MS: i64 = 1_772_452_800_000;
const PAGE: usize = 100;
const PER_THREAD: usize = 10;
const RESPONDERS: usize = 50;
/// Threads of one member, about.
const THREADS_PER_OWNER: usize = 3;

/// What the site serves.
pub(crate) struct Tables {
    pub(crate) threads: Rows,
    pub(crate) users: Rows,
    pub(crate) messages: Rows,
}

/// A list in the order of its ids.
#[derive(Default)]
pub(crate) struct Rows {
    ids: Vec<u64>,
    /// Where each row ends in `text`; the next one begins behind a comma.
    ends: Vec<usize>,
    text: Vec<u8>,
    /// Members alone: who has which token.
    by_token: HashMap<String, usize>,
    /// Threads alone: when each changed, in the order of the ids.
    changed: Vec<String>,
}

/// A question, as far as this site understands questions.
#[derive(Default)]
pub(crate) struct Asked {
    property: String,
    value: String,
    operator: String,
    descending: bool,
    limit: Option<u64>,
    page: Option<String>,
}

impl Asked {
    pub(crate) fn of(query: &str) -> Self {
        let mut asked = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "property" => asked.property = value.into_owned(),
                "property_value" => asked.value = value.into_owned(),
                "property_operator" => asked.operator = value.into_owned(),
                "order_type" => asked.descending = value.eq_ignore_ascii_case("desc"),
                "limit" => asked.limit = value.parse().ok(),
                "page" => asked.page = Some(value.into_owned()),
                _ => {}
            }
        }
        asked
    }

    /// Number and size of the page. The provider knows tokens alone; for readers that cannot follow them, plain numbers
    /// count here too.
    fn place(&self) -> (u64, u64) {
        let limit = self.limit.unwrap_or(25).clamp(1, 100);
        let Some(page) = &self.page else { return (1, limit) };
        read_page_token(page).unwrap_or_else(|| (page.parse().unwrap_or(1), limit))
    }
}

impl Rows {
    pub(crate) fn push(&mut self, id: u64, token: &str, json: &[u8]) {
        if !self.text.is_empty() {
            self.text.push(b',');
        }
        if !token.is_empty() {
            self.by_token.insert(token.to_owned(), self.ids.len());
        }
        self.text.extend_from_slice(json);
        self.ids.push(id);
        self.ends.push(self.text.len());
    }

    /// Takes the first rows out of the list.
    pub(crate) fn take(&mut self, count: usize) -> (Vec<u64>, Vec<Vec<u8>>) {
        let count = count.min(self.ids.len());
        let texts = (0..count).map(|at| self.slice(at, at + 1).to_vec()).collect();
        let gone = count.checked_sub(1).and_then(|last| self.ends.get(last)).copied().unwrap_or(0);
        // With the comma behind them, if something follows.
        let gone = (gone + usize::from(count > 0)).min(self.text.len());
        self.text.drain(..gone);
        self.ends.drain(..count);
        self.ends.iter_mut().for_each(|end| *end -= gone);
        (self.ids.drain(..count).collect(), texts)
    }

    /// Rows that follow each other, with commas between.
    fn slice(&self, from: usize, to: usize) -> &[u8] {
        let start = from.checked_sub(1).map_or(0, |before| self.ends[before] + 1);
        to.checked_sub(1).map_or(&[], |last| self.text.get(start..self.ends[last]).unwrap_or(&[]))
    }

    /// The whole answer.
    pub(crate) fn page(&self, asked: &Asked, key: &str) -> Vec<u8> {
        let all = self.ids.len();
        let (low, high) = match (asked.property.as_str(), asked.operator.as_str()) {
            ("", _) => (0, all),
            ("token", "eq") => self.by_token.get(&asked.value).map_or((0, 0), |at| (*at, at + 1)),
            (column, "gt") if column == key => {
                let after = asked.value.parse().unwrap_or(0);
                (self.ids.partition_point(|id| *id <= after), all)
            }
            ("updated_at", "gte") => (self.changed.partition_point(|at| *at < asked.value), all),
            (column, "eq") if column == key => {
                let at = asked.value.parse().ok().and_then(|id| self.ids.binary_search(&id).ok());
                at.map_or((0, 0), |at| (at, at + 1))
            }
            _ => (0, 0),
        };
        let (number, limit) = asked.place();
        let size = usize::try_from(limit).unwrap_or(PAGE);
        let before = usize::try_from(number - 1).unwrap_or(usize::MAX).saturating_mul(size).min(high - low);
        let shown = size.min(high - low - before);
        if shown == 0 {
            return br#"{"status":"success","message":[],"total":0,"current_page":1,"total_pages":0,"next_page":"","prev_page":""}"#.to_vec();
        }
        let mut body = Vec::with_capacity(shown * 1200 + 200);
        body.extend_from_slice(br#"{"status":"success","message":["#);
        if asked.descending {
            for (n, at) in (low..high - before).rev().take(shown).enumerate() {
                if n > 0 {
                    body.push(b',');
                }
                body.extend_from_slice(self.slice(at, at + 1));
            }
        } else {
            body.extend_from_slice(self.slice(low + before, low + before + shown));
        }
        let (total, pages) = (high - low, (high - low).div_ceil(size));
        let token = page_token(number + 1, limit);
        let tail = format!(
            r#"],"total":"{total}","current_page":{number},"total_pages":{pages},"next_page":"{token}","prev_page":""}}"#
        );
        body.extend_from_slice(tail.as_bytes());
        body
    }
}

/// Has the simulated site make the rows, a hundred at a time.
pub(crate) async fn made_by_simulator(messages: usize, bytes: usize) -> Tables {
    let mut data = BdData::new();
    data.quirks.token_lookup = TokenLookup::Works;
    let threads = messages.div_ceil(PER_THREAD);
    let responders: Vec<String> = (0..RESPONDERS).map(|n| data.add_user("Member", &word(n as u64 + 20))).collect();
    let owners: Vec<String> =
        (0..threads.div_ceil(THREADS_PER_OWNER)).map(|n| data.add_user("Visitor", &word(n as u64 + 40))).collect();
    let mut dice = Rng::new(3);
    let mut pick = |among: &[String]| among[usize::try_from(roll(&mut dice, among.len() as u64)).unwrap_or(0)].clone();
    let mut words = Rng::new(5);
    let mut left = messages;
    for number in 0..threads {
        let (owner, responder) = (pick(&owners), pick(&responders));
        let mut at = NOW_MS - 63_072_000_000 + i64::try_from(number).unwrap_or(0) * 60_000;
        let thread = data.add_thread(&owner, &responder, at);
        for n in 0..PER_THREAD.min(left) {
            at += 20_000;
            let who = if n % 2 == 0 { &owner } else { &responder };
            data.add_message(&thread, who, at, &text(&mut words, bytes));
        }
        left = left.saturating_sub(PER_THREAD);
    }
    let all: Vec<BdMessage> = std::mem::take(&mut data.messages);
    let (mut tables, every) =
        (Tables { threads: Rows::default(), users: Rows::default(), messages: Rows::default() }, data.clone());
    let sim = BdSim::start(data).await.expect("a free port");
    // Nothing is encrypted here, but the client is not made without.
    rustls::crypto::ring::default_provider().install_default().expect("the first one");
    let client = reqwest::Client::new();
    for chunk in all.chunks(PAGE) {
        sim.world().data.messages = chunk.to_vec();
        for row in rows_of(&client, &sim, "chat_message_items", "message_id").await {
            tables.messages.push(row.id(), "", row.json());
        }
    }
    for chunk in every.threads.chunks(PAGE) {
        sim.world().data.threads = chunk.to_vec();
        for row in rows_of(&client, &sim, "chat_message_threads", "thread_id").await {
            tables.threads.push(row.id(), "", row.json());
            tables.threads.changed.push(row.text("updated_at"));
        }
    }
    for chunk in every.users.chunks(PAGE) {
        sim.world().data.users = chunk.to_vec();
        for (row, user) in rows_of(&client, &sim, "user", "user_id").await.iter().zip(chunk) {
            tables.users.push(user.id, &user.token, row.json());
        }
    }
    tables
}

#[derive(Deserialize)]
struct Envelope {
    message: Vec<Box<RawValue>>,
}

struct Row(u64, Box<RawValue>);

impl Row {
    fn id(&self) -> u64 {
        self.0
    }

    fn text(&self, column: &str) -> String {
        let fields: HashMap<&str, serde_json::Value> = serde_json::from_str(self.1.get()).expect("an object");
        fields.get(column).and_then(|text| text.as_str()).expect("a text").to_owned()
    }

    fn json(&self) -> &[u8] {
        self.1.get().as_bytes()
    }
}

async fn rows_of(client: &reqwest::Client, sim: &BdSim, model: &str, key: &str) -> Vec<Row> {
    let url = format!("{}/api/v2/{model}/get?limit=100&order_column={key}&order_type=ASC", sim.base_url());
    let answer = client.get(url).header("x-api-key", "bd-key").send().await.expect("the simulator answers");
    let body = answer.bytes().await.expect("a body");
    let rows: Envelope = serde_json::from_slice(&body).expect("a page");
    let id = |row: &RawValue| {
        let fields: HashMap<&str, serde_json::Value> = serde_json::from_str(row.get()).expect("an object");
        fields.get(key).and_then(|id| id.as_str()).and_then(|id| id.parse().ok()).expect("an id")
    };
    rows.message.into_iter().map(|row| Row(id(&row), row)).collect()
}
