//! What the kill stories share: a source to read, the binary run with faults, the whole of a store as comparable
//! text, and a look at what a killed process left behind.
#![cfg(debug_assertions)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use chatloom::sim::bd::BdData;
use chatloom::sim::sitegpt::SitegptData;
use chatloom::sim::zaia::ZaiaData;
use chatloom::sim::{Sim, Site, Truth, World};
use rusqlite::Connection;

use crate::harness::{Copy, Home, source, wanted};

/// Conversation fetches in flight at once, in every case.
const IN_FLIGHT: usize = 3;

type Then = Box<dyn FnMut() + Send>;

/// How a run of the binary ended.
pub(crate) struct Ended {
    /// `None`: it was killed.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The fail point that it died at.
    pub(crate) fn point(&self) -> Option<String> {
        let line = self.stderr.lines().find(|line| line.contains("dying as asked"))?;
        Some(line.split("point=").nth(1)?.trim_matches('"').to_owned())
    }
}

/// A simulated provider and the source table that reads it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) config: String,
    truth: Box<dyn Fn() -> Copy + Send>,
    count: Box<dyn Fn(&str) -> usize + Send>,
    on_request: Box<dyn Fn(Then) + Send>,
    /// Requests for conversations that a kill may cost at most: those in flight, times what one conversation takes.
    pub(crate) in_flight: usize,
    /// Endpoints of which one request (or more) fetches one conversation.
    pub(crate) fetches: &'static [&'static str],
    _sim: Box<dyn std::any::Any + Send>,
}

impl Case {
    /// What a perfect copy holds now.
    pub(crate) fn truth(&self) -> Copy {
        (self.truth)()
    }

    /// Requests so far.
    pub(crate) fn requests(&self) -> usize {
        (self.count)("")
    }

    /// Requests so far that fetched conversations.
    pub(crate) fn fetched(&self) -> usize {
        self.fetches.iter().map(|endpoint| (self.count)(endpoint)).sum()
    }

    /// Runs `then` before every request from now on.
    pub(crate) fn on_request(&self, then: impl FnMut() + Send + 'static) {
        (self.on_request)(Box::new(then));
    }
}

async fn case<D: Site>(
    name: &'static str,
    data: D,
    truth: fn(&D) -> Truth,
    config: impl FnOnce(&str) -> String,
    fetches: &'static [&'static str],
    in_flight: usize,
) -> (Case, Arc<Mutex<World<D>>>) {
    let sim = Sim::start(World::from(data)).await.unwrap();
    let (told, counted, hooked) = (sim.handle(), sim.handle(), sim.handle());
    let world = sim.handle();
    let case = Case {
        name,
        config: config(&sim.base_url()),
        truth: Box::new(move || wanted(&truth(&told.lock().unwrap().data))),
        count: Box::new(move |endpoint| {
            let world = counted.lock().unwrap();
            if endpoint.is_empty() { world.requests() } else { world.count(endpoint) }
        }),
        in_flight,
        on_request: Box::new(move |mut then| hooked.lock().unwrap().on_request(move |_, _| then())),
        fetches,
        _sim: Box::new(sim),
    };
    (case, world)
}

/// A directory site.
pub(crate) async fn bd(data: BdData) -> (Case, Arc<Mutex<World<BdData>>>) {
    let config = |base: &str| source("s", "brilliant_directories", base, "bd-key", "");
    case("directory", data, BdData::truth, config, &[], 1).await
}

/// A workspace.
pub(crate) async fn zaia(data: ZaiaData) -> (Case, Arc<Mutex<World<ZaiaData>>>) {
    zaia_at(data, IN_FLIGHT).await
}

/// The same with so many requests at once.
pub(crate) async fn zaia_at(data: ZaiaData, concurrency: usize) -> (Case, Arc<Mutex<World<ZaiaData>>>) {
    let config = |base: &str| source("s", "zaia", base, "zaia-key", &format!("concurrency = {concurrency}\n"));
    // Twice: a chat with an unknown sender is asked for again with its senders.
    case("workspace", data, ZaiaData::truth, config, &["/api/v1/chat-messages"], 2 * concurrency).await
}

/// Chatbots, read through `v0` or `v2`.
pub(crate) async fn sitegpt(data: SitegptData, api: &'static str) -> (Case, Arc<Mutex<World<SitegptData>>>) {
    sitegpt_at(data, api, IN_FLIGHT).await
}

/// The same with so many requests at once.
pub(crate) async fn sitegpt_at(
    data: SitegptData,
    api: &'static str,
    concurrency: usize,
) -> (Case, Arc<Mutex<World<SitegptData>>>) {
    let key = if api == "v0" { "sitegpt-key" } else { "sgpt_test" };
    let more = format!("api = \"{api}\"\nconcurrency = {concurrency}\n");
    let config = |base: &str| source("s", "sitegpt", base, key, &more);
    if api == "v0" {
        case("bots v0", data, SitegptData::truth, config, &["/api/v0/chatbots/{id}/threads/{id}"], concurrency).await
    } else {
        case(
            "bots v2",
            data,
            SitegptData::truth,
            config,
            &["/api/v2/chatbots/{id}/conversations/{id}/messages"],
            concurrency,
        )
        .await
    }
}

/// Starts the binary in a folder, without waiting for it.
pub(crate) fn start(home: &Home, args: &[&str], faults: &str) -> Child {
    let binary = assert_cmd::cargo::cargo_bin!("chatloom");
    command(home, Command::new(binary).args(args), faults).spawn().unwrap()
}

/// Sets folder, environment and pipes of a command.
pub(crate) fn command<'c>(home: &Home, command: &'c mut Command, faults: &str) -> &'c mut Command {
    command
        .current_dir(home.folder.path())
        .env_clear()
        .env("CHATLOOM_LOG", "chatloom=warn")
        .env("CHATLOOM_FAULTS", faults)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
}

/// Runs the binary to its end, or to its death.
pub(crate) fn run(home: &Home, args: &[&str], faults: &str) -> Ended {
    let child = Arc::new(Mutex::new(start(home, args, faults)));
    wait(&child)
}

/// Waits for a process that others may kill meanwhile.
pub(crate) fn wait(child: &Mutex<Child>) -> Ended {
    let (errors, results) = {
        let mut child = child.lock().unwrap();
        (child.stderr.take().unwrap(), child.stdout.take().unwrap())
    };
    // What goes to stdout is short and fits the pipe.
    let read = |mut pipe: Box<dyn std::io::Read>| {
        let mut text = Vec::new();
        pipe.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    };
    let stderr = read(Box::new(errors));
    let stdout = read(Box::new(results));
    let code = child.lock().unwrap().wait().unwrap().code();
    crate::traces::assert_keyless("stdout", stdout.as_bytes());
    crate::traces::assert_keyless("stderr", stderr.as_bytes());
    Ended { code, stdout, stderr }
}

/// Columns that tell the same story whenever and in whatever order it was read: no ids of ours, no `rev`, no time of
/// observation.
const PARTS: &[(&str, &str)] = &[
    ("source", "SELECT name, provider, base_url, timezone, first_pass_at_ms IS NOT NULL FROM sources"),
    ("channel", "SELECT external_id, kind, name, resolved FROM channels"),
    (
        "participant",
        "SELECT external_id, kind, kind_given, name, email, phone, provider_user_id, resolved,
         looked_up_at_ms IS NOT NULL FROM participants",
    ),
    (
        "conversation",
        "SELECT c.external_id, ch.external_id, p.external_id, c.status, c.title, c.page_url, c.started_at_ms,
         c.updated_at_ms, c.last_message_at_ms, c.escalated, c.complete, c.incomplete_reason,
         c.deleted_at_ms IS NOT NULL, c.deleted_reason, c.reported_messages, c.reported_last_at_ms, c.version,
         c.list_fingerprint, c.fetched_fingerprint, c.fetched_at_ms IS NOT NULL
         FROM conversations AS c LEFT JOIN channels AS ch ON ch.id = c.channel_id
         LEFT JOIN participants AS p ON p.id = c.contact_id",
    ),
    (
        "role",
        "SELECT c.external_id, p.external_id, r.role FROM conversation_roles AS r
         JOIN conversations AS c ON c.id = r.conversation_id JOIN participants AS p ON p.id = r.participant_id",
    ),
    (
        "message",
        "SELECT c.external_id, m.external_id, p.external_id, m.author_kind, m.author_rule, m.kind, m.event, m.seq,
         m.sent_at_ms, m.body_text, m.body_html, m.read, m.reaction, m.model, m.thread_external_id, m.edited_at_ms IS NOT NULL,
         m.deleted_at_ms IS NOT NULL, m.deleted_reason, m.version, m.missed, m.content_hash
         FROM messages AS m JOIN conversations AS c ON c.id = m.conversation_id
         LEFT JOIN participants AS p ON p.id = m.author_id",
    ),
    (
        "revision",
        "SELECT m.external_id, r.revision, r.body_text, r.body_html FROM message_revisions AS r
         JOIN messages AS m ON m.id = r.message_id",
    ),
    (
        "citation",
        "SELECT m.external_id, o.ordinal, o.url, o.title FROM citations AS o JOIN messages AS m ON m.id = o.message_id",
    ),
    (
        "attachment",
        "SELECT m.external_id, o.ordinal, o.kind, o.url, o.name FROM attachments AS o
         JOIN messages AS m ON m.id = o.message_id",
    ),
    ("raw", "SELECT stream, external_id, id_number, row_id IS NOT NULL, missed, parent, seq, hash FROM raw_records"),
    ("absent", "SELECT stream FROM sweep_absent"),
    (
        "cursor",
        "SELECT stream, scope, json_extract(cursor, '$.method'), json_extract(cursor, '$.watermark'),
         json_extract(cursor, '$.walk'), json_extract(cursor, '$.sweep'), json_extract(cursor, '$.note') FROM cursors",
    ),
    // How often a full pass began, and what a dead process probed, is no part of what was found.
    ("fact", "SELECT name, value FROM facts WHERE name NOT IN ('threads_round', 'threads_probes')"),
    (
        "letter",
        "SELECT stream, external_id, parent, seq, stage, error, body_hash, resolved_at_ms IS NOT NULL FROM dead_letters",
    ),
];

/// Everything that a store says, line by line in a fixed order.
pub(crate) fn contents(db: &Path) -> BTreeSet<String> {
    let connection = Connection::open_with_flags(db, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut lines = BTreeSet::new();
    for (part, sql) in PARTS {
        let mut statement = connection.prepare(sql).unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        let mut same = 0;
        while let Some(row) = rows.next().unwrap() {
            let values: Vec<String> =
                (0..columns).map(|n| format!("{:?}", row.get::<_, rusqlite::types::Value>(n).unwrap())).collect();
            let line = format!("{part}: {}", values.join(" | "));
            if !lines.insert(line.clone()) {
                same += 1;
                lines.insert(format!("{line} (again, {same})"));
            }
        }
    }
    lines
}

/// What one store says and the other does not, each line with its side.
pub(crate) fn differences(disturbed: &BTreeSet<String>, undisturbed: &BTreeSet<String>) -> Vec<String> {
    let lost = undisturbed.difference(disturbed).map(|line| format!("undisturbed alone: {line}"));
    let gained = disturbed.difference(undisturbed).map(|line| format!("disturbed alone: {line}"));
    lost.chain(gained).collect()
}

/// Looks at what a dead process left, in a copy, so that the next process finds it as it was: it is whole, no cursor
/// is ahead of its rows, and no conversation passes for fetched that is not all there.
pub(crate) fn post_mortem(home: &Home, truth: &Copy) -> Result<(), String> {
    if !home.db().exists() {
        return Ok(());
    }
    let scratch = tempfile::tempdir().unwrap();
    let copy = scratch.path().join("copy.db");
    std::fs::copy(home.db(), &copy).unwrap();
    let log = home.folder.path().join("chatloom.db-wal");
    if log.exists() {
        std::fs::copy(log, scratch.path().join("copy.db-wal")).unwrap();
    }
    let connection = Connection::open(&copy).unwrap();
    let text = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let said = text("PRAGMA integrity_check");
    if said != "ok" {
        return Err(said);
    }
    if number("SELECT count(*) FROM sqlite_schema") == 0 {
        return Ok(());
    }
    assert_eq!(number("SELECT count(*) FROM pragma_foreign_key_check"), 0);
    assert!(number("SELECT count(*) FROM sync_runs WHERE status = 'running'") <= 1);
    let newest =
        "SELECT max(coalesce((SELECT max(rev) FROM messages), 0), coalesce((SELECT max(rev) FROM conversations), 0))";
    if number(newest) > number("SELECT rev FROM change_counter") {
        return Err("a rev above the counter".to_owned());
    }
    let has_index = number("SELECT count(*) FROM sqlite_schema WHERE name = 'search_state'") == 1;
    if has_index && number("SELECT rules FROM search_state") != 0 {
        // New messages may wait for the index: those beyond the greatest it has, and no other.
        let wait = "INSERT INTO message_search (rowid, body_text) SELECT id, body_text FROM search_texts
                    WHERE id > (SELECT coalesce(max(id), 0) FROM message_search_docsize)";
        connection.execute(wait, []).map_err(|error| format!("the full-text index cannot be filled: {error}"))?;
        let checked =
            connection.execute("INSERT INTO message_search (message_search, rank) VALUES ('integrity-check', 1)", []);
        checked.map_err(|error| format!("the full-text index is out of step: {error}"))?;
    }
    let mut held = BTreeSet::new();
    let mut statement = connection
        .prepare("SELECT c.external_id, m.external_id FROM messages AS m JOIN conversations AS c ON c.id = m.conversation_id")
        .unwrap();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        held.insert((row.get::<_, String>(0).unwrap(), row.get::<_, String>(1).unwrap()));
    }
    let watermark: Option<i64> = connection
        .query_row(
            "SELECT max(json_extract(cursor, '$.watermark')) FROM cursors JOIN sources ON sources.id = source_id
             WHERE provider = 'brilliant_directories' AND stream = 'messages' AND scope = ''",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let mut fetched = connection
        .prepare(
            "SELECT 1 FROM conversations WHERE external_id = ?1 AND list_fingerprint = fetched_fingerprint
             AND (complete = 1 OR incomplete_reason = 'not_fetched')",
        )
        .unwrap();
    for ids in truth.keys().filter(|ids| !held.contains(*ids)) {
        if watermark.zip(ids.1.parse().ok()).is_some_and(|(watermark, id): (i64, i64)| id <= watermark) {
            return Err(format!("the cursor stands at {watermark:?}, and {ids:?} is missing"));
        }
        if fetched.exists([&ids.0]).unwrap() {
            return Err(format!("{} passes for fetched, and {} is missing", ids.0, ids.1));
        }
    }
    Ok(())
}
