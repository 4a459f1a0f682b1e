//! A folder with a configuration, simulated providers beside it, and the binary run against them.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use chatloom::sim::Truth;
use chatloom::sim::bd::BdData;
use chatloom::sim::sitegpt::SitegptData;
use chatloom::sim::zaia::ZaiaData;
use chatloom::sim::{BdSim, SitegptSim, ZaiaSim};
use rusqlite::Connection;

use crate::traces;

/// A time for the simulated worlds to be "now": Monday, 2 March 2026, 12:00 UTC.
pub(crate) const NOW_MS: i64 = 1_772_452_800_000;

/// A user's folder.
pub(crate) struct Home {
    pub(crate) folder: tempfile::TempDir,
}

/// One run of the binary.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// The JSON document on stdout.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.stdout, self.stderr))
    }
}

impl Home {
    /// An empty folder with this configuration.
    pub(crate) fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Self { folder };
        home.configure(config);
        home
    }

    /// Writes the configuration anew.
    pub(crate) fn configure(&self, config: &str) {
        traces::note_configuration(config);
        let path = self.folder.path().join("chatloom.toml");
        std::fs::write(&path, config).unwrap();
        // It holds keys.
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }

    /// Where the store is.
    pub(crate) fn db(&self) -> PathBuf {
        self.folder.path().join("chatloom.db")
    }

    /// The binary with these arguments in this folder, not started yet.
    pub(crate) fn command(&self, args: &[&str], log: &str) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("chatloom"));
        command.args(args).current_dir(self.folder.path()).env_clear().env("CHATLOOM_LOG", log);
        command
    }

    /// Runs the binary in this folder, away from the async threads that serve the simulators.
    pub(crate) async fn run(&self, args: &[&str]) -> Run {
        run(self.command(args, "chatloom=debug")).await
    }

    /// The same with a log filter of its own.
    pub(crate) async fn run_logging(&self, args: &[&str], log: &str) -> Run {
        run(self.command(args, log)).await
    }

    /// Starts the binary and leaves it running, with its output thrown away.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        self.command(args, "chatloom=info").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Runs `sync --json` and insists that all went well.
    pub(crate) async fn sync(&self) -> serde_json::Value {
        self.sync_with(&[]).await
    }

    /// Runs `sync --json` with further arguments and insists that all went well.
    pub(crate) async fn sync_with(&self, more: &[&str]) -> serde_json::Value {
        let done = self.run(&[&["sync", "--json"], more].concat()).await;
        assert_eq!(done.code, 0, "{}\n{}", done.stdout, done.stderr);
        done.json()
    }

    /// A reading connection.
    pub(crate) fn open(&self) -> Connection {
        Connection::open_with_flags(self.db(), rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
    }

    /// The change counter: it stands still when nothing changes.
    pub(crate) fn rev(&self) -> i64 {
        self.number("SELECT rev FROM change_counter")
    }

    /// Fails with what changed, unless the change counter stands where it stood.
    #[track_caller]
    pub(crate) fn assert_still(&self, rev: i64, told: &str) {
        let changed: Vec<String> = [
            format!(
                "SELECT 'conversation', s.name, c.external_id, c.status, c.complete, c.incomplete_reason, c.deleted_at,
                        c.deleted_reason, c.updated_at, c.last_message_at, c.escalated, c.title, c.contact_id
                 FROM conversations AS c JOIN sources AS s ON s.id = c.source_id WHERE c.rev > {rev}"
            ),
            format!(
                "SELECT 'message', external_id, author_kind, body_text, deleted_at FROM messages WHERE rev > {rev}"
            ),
            format!("SELECT 'participant', external_id, kind, name, email, phone FROM participants WHERE rev > {rev}"),
            format!("SELECT 'channel', external_id, kind, name FROM channels WHERE rev > {rev}"),
        ]
        .iter()
        .flat_map(|sql| self.rows(sql))
        .collect();
        assert!(self.rev() == rev && changed.is_empty(), "{told}: {rev} became {}: {changed:#?}", self.rev());
    }

    /// The rows of a statement, each value as text (NULL as `-`), joined with `|`.
    pub(crate) fn rows(&self, sql: &str) -> Vec<String> {
        rows_of(&self.open(), sql)
    }

    /// One number.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        self.open().query_row(sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// One number with a fraction.
    pub(crate) fn number_of(&self, sql: &str) -> f64 {
        self.open().query_row(sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }
}

/// The rows of a statement, each value as text (NULL as `-`), joined with `|`.
pub(crate) fn rows_of(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let width = statement.column_count();
    let text = |value: rusqlite::types::Value| match value {
        rusqlite::types::Value::Null => "-".to_owned(),
        rusqlite::types::Value::Integer(number) => number.to_string(),
        rusqlite::types::Value::Real(number) => number.to_string(),
        rusqlite::types::Value::Text(text) => text,
        rusqlite::types::Value::Blob(bytes) => format!("{} bytes", bytes.len()),
    };
    statement
        .query_map([], |row| {
            let cells: rusqlite::Result<Vec<String>> = (0..width).map(|at| Ok(text(row.get(at)?))).collect();
            Ok(cells?.join("|"))
        })
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

impl Drop for Home {
    fn drop(&mut self) {
        traces::assert_keyless_folder(self.folder.path());
    }
}

/// Waits for a command, and insists that no key stands in what it said.
#[track_caller]
pub(crate) fn output(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    traces::assert_keyless("stdout", &output.stdout);
    traces::assert_keyless("stderr", &output.stderr);
    output
}

/// The same off the async threads.
pub(crate) async fn run(mut command: Command) -> Run {
    let output = tokio::task::spawn_blocking(move || output(&mut command)).await.unwrap();
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The clock on the wall, which the binary reads as well.
#[expect(
    clippy::disallowed_methods,
    reason = "what happens 'just now' at a provider is measured on the binary's clock"
)]
pub(crate) fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// A source table for a simulated directory.
pub(crate) fn bd_source(name: &str, sim: &BdSim) -> String {
    source(name, "brilliant_directories", &sim.base_url(), "bd-key", "")
}

/// A source table for a simulated Zaia workspace.
pub(crate) fn zaia_source(name: &str, sim: &ZaiaSim) -> String {
    source(name, "zaia", &sim.base_url(), "zaia-key", "")
}

/// A source table for a simulated SiteGPT account.
pub(crate) fn sitegpt_source(name: &str, sim: &SitegptSim, api: &str) -> String {
    let key = if api == "v0" { "sitegpt-key" } else { "sgpt_test" };
    source(name, "sitegpt", &sim.base_url(), key, &format!("api = \"{api}\"\n"))
}

/// All three providers: `bd`, `zaia`, and one account in both generations, `v0` and `v2`.
pub(crate) fn every_source(bd: &BdSim, zaia: &ZaiaSim, sitegpt: &SitegptSim) -> String {
    format!(
        "{}{}{}{}",
        bd_source("bd", bd),
        zaia_source("zaia", zaia),
        sitegpt_source("v0", sitegpt, "v0"),
        sitegpt_source("v2", sitegpt, "v2")
    )
}

/// A source table.
pub(crate) fn source(name: &str, provider: &str, base_url: &str, key: &str, more: &str) -> String {
    format!(
        "[[sources]]\nname = \"{name}\"\nprovider = \"{provider}\"\nbase_url = \"{base_url}\"\napi_key = \"{key}\"\n\
         requests_per_minute = 1000000\n{more}\n"
    )
}

/// What the store holds of a source, in the shape of the simulators' truth; `deleted` counts the message alone.
pub(crate) type Copy = BTreeMap<(String, String), (String, Option<i64>, String, i64, bool)>;

/// Reads a source's messages back.
pub(crate) fn copy_of(home: &Home, source: &str) -> Copy {
    let connection = home.open();
    let mut statement = connection
        .prepare(
            "SELECT c.external_id, m.external_id, m.body_text, m.sent_at_ms, m.author_kind, m.reaction,
                    m.deleted_at_ms IS NOT NULL
             FROM messages AS m JOIN conversations AS c ON c.id = m.conversation_id
             JOIN sources AS s ON s.id = c.source_id WHERE s.name = ?1",
        )
        .unwrap();
    statement
        .query_map([source], |row| {
            Ok(((row.get(0)?, row.get(1)?), (row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?)))
        })
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

/// The same for what a perfect copy holds.
pub(crate) fn wanted(truth: &Truth) -> Copy {
    truth
        .messages
        .iter()
        .map(|(ids, message)| {
            let kind = message.author_kind.as_str().to_owned();
            (ids.clone(), (message.text.clone(), message.sent_at_ms, kind, message.reaction, message.deleted))
        })
        .collect()
}

/// What the store holds of a source's conversations: whether deleted, whether the provider says escalated, title.
pub(crate) type Heads = BTreeMap<String, (bool, Option<bool>, Option<String>)>;

/// Reads a source's conversations back.
pub(crate) fn heads_of(home: &Home, source: &str) -> Heads {
    let connection = home.open();
    let mut statement = connection
        .prepare(
            "SELECT c.external_id, c.deleted_at_ms IS NOT NULL, c.escalated, c.title
             FROM conversations AS c JOIN sources AS s ON s.id = c.source_id WHERE s.name = ?1",
        )
        .unwrap();
    statement
        .query_map([source], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?, row.get(3)?))))
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

/// The same for what a perfect copy holds.
pub(crate) fn wanted_heads(truth: &Truth) -> Heads {
    let head = |told: &chatloom::sim::TrueConversation| (told.deleted, told.escalated, told.title.clone());
    truth.conversations.iter().map(|(id, told)| (id.clone(), head(told))).collect()
}

/// Fails with the first differences.
pub(crate) fn assert_same<K: Ord + Debug, V: PartialEq + Debug>(held: &BTreeMap<K, V>, wanted: &BTreeMap<K, V>) {
    let mut differences: Vec<String> = Vec::new();
    for (ids, row) in wanted {
        match held.get(ids) {
            None => differences.push(format!("missing {ids:?}: {row:?}")),
            Some(other) if other != row => {
                differences.push(format!("differs {ids:?}:\n   held {other:?}\n wanted {row:?}"))
            }
            Some(_) => {}
        }
    }
    differences.extend(held.keys().filter(|ids| !wanted.contains_key(*ids)).map(|ids| format!("unwanted {ids:?}")));
    let shown: Vec<&String> = differences.iter().take(10).collect();
    assert!(differences.is_empty(), "{} differences of {}:\n{shown:#?}", differences.len(), wanted.len());
}

/// Data of the three providers.
pub(crate) struct Worlds {
    pub(crate) bd: BdData,
    pub(crate) zaia: ZaiaData,
    pub(crate) sitegpt: SitegptData,
}

/// The demonstration's data: some hundred conversations in several languages.
pub(crate) fn demo_worlds(seed: u64) -> Worlds {
    let worlds = chatloom::sim::demo::worlds(seed, NOW_MS);
    Worlds { bd: worlds.bd, zaia: worlds.zaia, sitegpt: worlds.sitegpt }
}
