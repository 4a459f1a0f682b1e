//! Entry points for fuzzing: every parser of what strangers write, with what must hold of it.
//!
//! Each takes any bytes and panics when a property does not hold. `fuzz/` runs them with libFuzzer; `tests/it/inputs.rs`
//! runs the same over seeds, mutations of them, and every input that once broke one. `docs/fuzzing.md` says how. No part of
//! the program calls anything here.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::model::{MessageRow, Patch, Row};
use crate::normalise::{is_secret_key, parse_timestamp, read_html, scrub, to_iso, to_site_digits};
use crate::provider::fuzzed;
pub use crate::provider::fuzzed::Normalised;
use crate::sync::FeedCursor;
use crate::sync::walk::Walk;

/// Takes any bytes; panics when a property does not hold.
pub type Entry = fn(&[u8]);

/// Every target: its name, as `cargo fuzz run` takes it, and its entry point.
pub const TARGETS: &[(&str, Entry)] = &[
    ("brilliant_directories", brilliant_directories),
    ("zaia", zaia),
    ("sitegpt_v0", sitegpt_v0),
    ("sitegpt_v2", sitegpt_v2),
    ("json", json),
    ("timestamps", timestamps),
    ("html", html),
    ("scrub", scrubbing),
    ("terminal", terminal),
    ("cursors", cursors),
    ("headers", headers),
    ("base_url", base_url),
    ("config", config),
    ("schedules", schedules),
    ("queries", queries),
];

/// Records of a body as one provider's adapter reads them.
pub type Read = fn(&[u8]) -> Vec<Normalised>;

/// How a body is read for each provider, for tests that bring what comes of it into a store.
pub const PROVIDERS: &[(&str, Read)] = &[
    ("brilliant_directories", fuzzed::brilliant_directories),
    ("zaia", fuzzed::zaia),
    ("sitegpt_v0", fuzzed::sitegpt_v0),
    ("sitegpt_v2", fuzzed::sitegpt_v2),
];

pub fn brilliant_directories(data: &[u8]) {
    pages(data, fuzzed::brilliant_directories);
}

pub fn zaia(data: &[u8]) {
    pages(data, fuzzed::zaia);
}

pub fn sitegpt_v0(data: &[u8]) {
    pages(data, fuzzed::sitegpt_v0);
}

pub fn sitegpt_v2(data: &[u8]) {
    pages(data, fuzzed::sitegpt_v2);
}

/// Streams whose records keep nothing that is secret by its name, apart from a visitor's `sessionId`.
const SCRUBBED: [&str; 7] = ["users", "channels", "responders", "external_users", "senders", "chatbots", "thread"];

fn pages(data: &[u8], read: Read) {
    let (once, again) = (read(data), read(data));
    assert_eq!(once.len(), again.len(), "reading is pure");
    for ((stream, raw, rows), (_, raw_again, rows_again)) in once.iter().zip(&again) {
        assert_eq!((rows, raw.json.get()), (rows_again, raw_again.json.get()), "reading is pure");
        assert!(
            serde_json::from_str::<&RawValue>(raw.json.get()).is_ok(),
            "a record that is no JSON cannot be read again"
        );
        assert!(raw.id.as_ref().is_none_or(|id| !id.is_empty()), "an empty id is no id");
        if SCRUBBED.contains(stream) {
            let known = serde_json::from_str::<Value>(raw.json.get());
            assert!(known.is_err() || !has_secret(&known.unwrap_or_default()), "{stream}: a secret is kept");
        }
        match rows {
            Ok(rows) => rows.iter().for_each(row),
            Err(reject) => {
                assert!(reject.reason.chars().count() <= 300, "a dead letter's reason is as long as a message");
                assert!(!reject.to_string().chars().any(char::is_control), "{reject}");
            }
        }
    }
}

fn has_secret(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(has_secret),
        Value::Object(members) => members
            .iter()
            .any(|(key, value)| is_secret_key(key) && !key.eq_ignore_ascii_case("sessionId") || has_secret(value)),
        _ => false,
    }
}

fn row(row: &Row) {
    let named = |id: &str| assert!(!id.is_empty(), "an id that names nothing");
    match row {
        Row::Channel(row) => {
            named(&row.external_id);
            whole([Some(&row.external_id), set(&row.name)]);
        }
        Row::Participant(row) => {
            named(&row.external_id);
            whole([Some(&row.external_id), set(&row.name), set(&row.email), set(&row.phone)]);
            whole([set(&row.provider_user_id)]);
        }
        Row::Contact(row) => {
            named(&row.conversation);
            whole([Some(&row.conversation), row.name.as_ref(), row.email.as_ref(), row.phone.as_ref()]);
        }
        Row::Conversation(row) => {
            named(&row.external_id);
            whole([Some(&row.external_id), set(&row.channel), set(&row.contact), set(&row.title), set(&row.page_url)]);
            for at in [&row.started_at_ms, &row.updated_at_ms, &row.last_message_at_ms, &row.deleted_at_ms] {
                if let Patch::Set(at) = at {
                    plausible(*at);
                }
            }
        }
        Row::Message(row) => message(row),
    }
}

/// SQLite's text functions stop at U+0000, and what lies behind it could not be found or forgotten.
fn whole<'a>(texts: impl IntoIterator<Item = Option<&'a String>>) {
    assert!(texts.into_iter().flatten().all(|text| !text.contains('\0')), "a text that SQLite reads in part");
}

fn set(patch: &Patch<String>) -> Option<&String> {
    if let Patch::Set(text) = patch { Some(text) } else { None }
}

fn message(row: &MessageRow) {
    assert!(!row.conversation.is_empty() && !row.external_id.is_empty());
    whole([Some(&row.conversation), Some(&row.external_id), Some(&row.body_text), row.body_html.as_ref()]);
    whole([row.author.as_ref(), row.event.as_ref(), row.model.as_ref(), row.thread.as_ref()]);
    whole(row.citations.iter().flat_map(|citation| [citation.url.as_ref(), citation.title.as_ref()]));
    for attachment in &row.attachments {
        whole([Some(&attachment.kind), attachment.name.as_ref()]);
        let url = attachment.url.as_deref().unwrap_or_default();
        assert!(!url.chars().any(char::is_control), "an address that is more than a line: {url:?}");
    }
    row.sent_at_ms.into_iter().for_each(plausible);
    assert!((-1..=1).contains(&row.reaction), "{}", row.reaction);
}

/// 1990 to 2200, or 0 for a removal of which no time is known.
fn plausible(at_ms: i64) {
    assert!(at_ms == 0 || (631_152_000_000..7_289_654_400_000).contains(&at_ms), "{at_ms}");
}

/// Mending changes nothing that was sound, and once is enough.
pub fn json(data: &[u8]) {
    let mended = crate::http::mend(data);
    assert_eq!(crate::http::mend(mended.as_bytes()), mended, "once is enough");
    let read = crate::http::parse::<Value>(data);
    if let Ok(sound) = serde_json::from_slice::<Value>(data) {
        assert_eq!(read.ok(), Some(sound), "sound JSON is read as it stands");
    }
    if let Ok(raw) = crate::http::parse::<Box<RawValue>>(data) {
        // Splitting does not look inside, and nesting costs no stack.
        if let Ok(records) = crate::normalise::lenient::records(&raw) {
            let inside: usize = records.iter().map(|record| record.get().len()).sum();
            assert!(inside <= raw.get().len(), "records are parts of their page");
        }
    }
}

/// A time (first line), on the clock of a zone (second line) and on others.
pub fn timestamps(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (time, zone) = text.split_once('\n').unwrap_or((&text, ""));
    let named = ["UTC", "America/New_York", "Australia/Lord_Howe", zone].map(|name| TimeZone::get(name).ok());
    for zone in named.iter().map(Option::as_ref).chain([None]) {
        let Ok(Some(at_ms)) = parse_timestamp(time, zone) else { continue };
        plausible(at_ms);
        assert_eq!(parse_timestamp(&to_iso(at_ms), zone), Ok(Some(at_ms)), "{}", to_iso(at_ms));
        if let Some(zone) = zone {
            let digits = to_site_digits(at_ms, zone);
            if let Ok(Some(again)) = parse_timestamp(&digits, Some(zone)) {
                assert_eq!(to_site_digits(again, zone), digits, "a clock that exists shows what it was set to");
            }
        }
    }
}

/// Text and images of HTML: bounded by what came, and fit for the store.
pub fn html(data: &[u8]) {
    let html = String::from_utf8_lossy(data);
    let read = read_html(&html);
    assert!(!read.text.contains('\0'), "SQLite's text functions stop at U+0000");
    assert!(read.text.len() <= html.len().saturating_mul(2).saturating_add(16), "text grows: {}", read.text.len());
    assert!(read.images.len() <= 100);
    for image in &read.images {
        assert!(image.name.as_ref().is_none_or(|name| name.chars().count() <= 300));
        let Some(url) = &image.url else { continue };
        assert!(!url.chars().any(char::is_control) && url.len() <= 8 * 1024);
        // As a browser reads it, relative to the page that it stands on.
        let page = url::Url::parse("https://www.example.test/messages").ok();
        let target = page.and_then(|page| page.join(url).ok());
        assert!(target.is_none_or(|target| matches!(target.scheme(), "http" | "https")), "{url}");
    }
    if !html.contains(['<', '&', '\0']) {
        assert_eq!(read.text, html, "what is no HTML stays as it is");
    }
}

/// Nothing secret stays, at any depth; everything else does.
pub fn scrubbing(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(json) = RawValue::from_string(text.to_owned()) else { return };
    let clean = scrub(&json, is_secret_key);
    let left = clean.as_deref().unwrap_or(&json);
    assert!(serde_json::from_str::<&RawValue>(left.get()).is_ok(), "{left}");
    assert!(scrub(left, is_secret_key).is_none(), "once is enough");
    // Beyond some depth nobody reads values, and the walk above is all there is.
    let Ok(whole) = serde_json::from_str::<Value>(text) else { return };
    let kept = serde_json::from_str::<Value>(left.get());
    assert_eq!(kept.ok(), Some(without_secrets(whole)), "scrubbing is leaving members out");
}

fn without_secrets(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(without_secrets).collect(),
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(key, _)| !is_secret_key(key));
            Value::Object(kept.map(|(key, value)| (key, without_secrets(value))).collect())
        }
        other => other,
    }
}

/// Whether a character turns the direction of writing.
fn turns_writing(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn steers(c: char) -> bool {
    matches!(u32::from(c), 0..0x20 | 0x7f..=0x9f) || turns_writing(c)
}

/// Any text is a query: it is taken apart alike every time, within bounds, and comes to words that are all quoted.
pub fn queries(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let query = crate::search::Query::parse(&text);
    assert_eq!(query, crate::search::Query::parse(&text));
    assert!(query.terms.len() <= 64, "each word costs a look-up");
    let Some(expression) = query.expression() else { return };
    // Outside of quotes stand blanks and the sign of words that go on, and every quote is closed.
    let (mut quoted, mut outside) = (false, String::new());
    for c in expression.chars() {
        match c {
            '"' => quoted = !quoted,
            _ if !quoted => outside.push(c),
            _ => assert_ne!(c, '\0', "the index's parser would stop there"),
        }
    }
    assert!(!quoted && outside.chars().all(|c| c == ' ' || c == '*'), "{expression}");
}

/// Nothing that is shown or logged steers a terminal, and what is harmless is shown as it is.
pub fn terminal(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let shown = crate::cli::tame(&text);
    assert!(!shown.chars().any(|c| steers(c) && c != '\n' && c != '\t'), "{shown:?}");
    assert!(!crate::cli::tame_line(&text).chars().any(steers), "one line stays one line");
    let harmless = |c: char| !crate::telemetry::is_wild(c) && (c.is_ascii() || matches!(c, '\u{a1}'..='\u{24f}'));
    if text.chars().all(|c| c == '\n' || harmless(c)) {
        assert_eq!(shown, text, "harmless text is shown as it is");
    }
    crate::telemetry::fuzzed(&text);
    let at = usize::from(data.first().copied().unwrap_or_default());
    crate::http::fuzzed::words(&text, at, turns_writing);
}

/// A stored checkpoint (first line) that may say anything, gone on with over pages made of the rest.
pub fn cursors(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (first, rest) = data.split_at_checked(end).unwrap_or((data, &[]));
    let text = String::from_utf8_lossy(first);
    drop(FeedCursor::shown(&text));
    let mut cursor = FeedCursor::parse(Some(&text));
    let json = cursor.to_json();
    assert_eq!(FeedCursor::parse(Some(&json)).to_json(), json, "a checkpoint is written as it is read");
    let now_ms = 1_772_452_800_000;
    cursor.distrust_the_future(now_ms, 60_000);
    let before = cursor.watermark;
    for walk in [cursor.walk.take(), cursor.sweep.take()].into_iter().flatten() {
        walked(walk, &mut cursor, rest);
    }
    assert!(cursor.watermark >= before, "a watermark never moves back");
}

fn walked(mut walk: Walk, cursor: &mut FeedCursor, mut bytes: &[u8]) {
    for _ in 0..40 {
        let Some(_ask) = walk.ask(3) else { break };
        let page = crate::sync::fuzzed::page(&mut bytes);
        if walk.take(&page, 3).is_err() && !walk.start_over() {
            break;
        }
        cursor.advance(walk.newest());
        let saved = serde_json::to_string(&walk).ok();
        let again = saved.as_deref().and_then(|saved| serde_json::from_str::<Walk>(saved).ok());
        assert_eq!(again.and_then(|walk| serde_json::to_string(&walk).ok()), saved, "a walk is written as it is read");
        let (_name, _began) = (walk.method(), walk.began_ms());
    }
}

/// Lines: `Date`, `Location`, `Host`, `Authorization`, then any number of `Retry-After`.
pub fn headers(data: &[u8]) {
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    let line = |at: usize| lines.get(at).copied().unwrap_or_default();
    crate::http::fuzzed::waits(line(0), lines.get(4..).unwrap_or_default());
    crate::http::fuzzed::location(&String::from_utf8_lossy(line(1)));
    crate::web::fuzzed(line(2), line(3));
}

/// A base URL (first line), the segments asked for below it (second, between tabs), and a query (the rest).
pub fn base_url(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let Some(url) = crate::config::fuzzed::base_url(lines.next().unwrap_or_default()) else { return };
    let segments: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    let query: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once('\t')).collect();
    crate::http::fuzzed::base(&url, &segments, &query);
}

/// A configuration file. What is taken can be told apart by the names of its sources.
pub fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Some(config) = crate::config::fuzzed::text(&text, turns_writing) else { return };
    let names: BTreeSet<&str> = config.sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names.len(), config.sources.len(), "two sources of one name");
    drop(crate::app::daemon::try_schedules(&config));
}

/// Durations, schedules and cron expressions: a moment that comes next lies ahead.
pub fn schedules(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(crate::config::Schedule::Cron(cron)) = crate::config::fuzzed::schedules(&text) {
        crate::app::daemon::fuzzed(&cron);
    }
}
