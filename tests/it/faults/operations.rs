//! O: how chatloom is run.
#![cfg_attr(not(debug_assertions), allow(unused, reason = "stories with faults of the process are for debug builds"))]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::process::{Command, Stdio};

use chatloom::sim::BdSim;
use chatloom::sim::Fault;
use chatloom::sim::demo::large_bd;

use super::{Row, play};
use crate::daemon::rig::{Daemon, SOON, send, until};
use crate::failures::{Everybody, assert_says};
use crate::harness::{Home, NOW_MS, bd_source, run, zaia_source};

pub(super) const ROWS: &[Row] = &[
    Row::played(
        "O1",
        "a configuration with an unknown key, a wrong type, a name twice, a missing key file, a bad URL",
        "all of it at once, each with file, key and source, exit 2 before anything is asked or opened; `check`, `sync` and \
         `run` say the same",
    ),
    Row::played(
        "O2",
        "no provider answers at the start",
        "READY once configuration, keys and store are usable; STATUS, RELOADING and STOPPING in their order",
    ),
    Row::played(
        "O3",
        "the writer stands still; a provider wants long pauses; nothing is to be done",
        "the watchdog starves in the first case only, with one line that names the source",
    ),
    Row::played("O4", "NOTIFY_SOCKET absent, abstract with nobody there, broken", "nothing else changes"),
    Row::played(
        "O5",
        "one source fails again and again",
        "the others keep their rhythm; one line when it begins and one when it ends; `status` shows its last success",
    ),
    Row::played(
        "O6",
        "stdout a closed pipe, stdout and stderr closed, nobody reads stderr",
        "no panic, no stall, nothing of it in the file; lines that nobody read are counted and told of",
    ),
    Row::played(
        "O7",
        "SIGTERM, SIGINT and SIGHUP in every kind of wait, SIGINT twice",
        "the daemon ends with 0 at once, `sync` with 130 or 143; a second signal ends what stands still; SIGHUP ends nothing",
    ),
    Row::played(
        "O8",
        "the unit file",
        "hardened settings are there; where systemd-analyze is installed: `verify` is silent and the score 1.2 or lower",
    ),
    Row::played(
        "O9",
        "everything is read again although nothing changed",
        "no row is written but book-keeping, and its log is as long for ten times the messages",
    ),
    Row::played(
        "O10",
        "no terminal, LANG=C, a Turkish locale, odd time zones, HOME unset, missing or read-only",
        "the same store and the same output; nothing is written to HOME",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn o1_everything_that_is_wrong_with_a_configuration() {
    play("O1", async {
        let all = Everybody::start().await;
        let config = all
            .config()
            .replacen("base_url", "base_urll", 1)
            .replacen("requests_per_minute = 1000000", "requests_per_minute = \"many\"", 2)
            .replacen("name = \"v2\"", "name = \"v0\"", 1)
            .replacen("api_key = \"zaia-key\"", "api_key_file = \"no.key\"", 1)
            .replacen("api = \"v2\"", "api = \"v2\"\ntimeout = \"soon\"", 1);
        let home = Home::new(&config);
        let mut said = Vec::new();
        for command in [&["sync"][..], &["run"], &["check", "--offline"], &["backfill"]] {
            let done = home.run(command).await;
            assert_eq!(done.code, 2, "{command:?}: {}", done.stderr);
            said.push(done.stderr);
        }
        assert_says(&said[0], &["chatloom.toml", "base_urll", "requests_per_minute", "no.key", "soon", "v0"]);
        assert!(said.iter().all(|one| *one == said[0]), "{said:#?}");
        assert!(!home.db().exists() && !said[0].contains("bd-key"));
        assert_eq!(all.bd.world().requests() + all.zaia.world().requests() + all.sitegpt.world().requests(), 0);
    })
    .await;
}

#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn o3_the_watchdog() {
    play("O3", async {
        crate::daemon::notify::stuck_worker().await;
        crate::daemon::notify::known_waits().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn o6_nobody_listens() {
    play("O6", async {
        let all = Everybody::start().await;
        let home = Home::new(&all.config());
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "exec \"$0\" sync --json >&- 2>&-"]).arg(assert_cmd::cargo::cargo_bin!("chatloom"));
        shell.current_dir(home.folder.path()).env_clear().env("CHATLOOM_LOG", "chatloom=debug");
        assert_eq!(run(shell).await.code, 0);
        all.assert_all_exact(&home);

        for command in
            [&["status"][..], &["status", "--json"], &["sync", "--json"], &["verify", "--offline"], &["--help"]]
        {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let mut piped = home.command(command, "chatloom=info");
            piped.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped());
            let done =
                tokio::task::spawn_blocking(move || piped.spawn().unwrap().wait_with_output().unwrap()).await.unwrap();
            crate::traces::assert_keyless("stderr", &done.stderr);
            let stderr = String::from_utf8_lossy(&done.stderr);
            assert!(!stderr.contains("panicked"), "{command:?}: {stderr}");
            assert_eq!(done.status.code(), Some(0), "{command:?}: {stderr}");
        }
        nobody_reads_the_log(&all).await;
    })
    .await;
}

/// A daemon that logs all there is into a pipe.
async fn nobody_reads_the_log(all: &Everybody) {
    let home = Home::new(&all.config().replace("requests_per_minute", "poll = \"1s\"\nrequests_per_minute"));
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut command = home.command(&["run"], "trace");
    let mut child = command.stdout(Stdio::null()).stderr(writer).spawn().unwrap();
    drop(command);
    let passes = || match home.db().exists() {
        true => {
            home.number("SELECT count(*) FROM sqlite_schema WHERE name = 'sync_runs'") == 1
                && {
                    home.number("SELECT count(*) FROM (SELECT 1 FROM sync_runs WHERE status = 'ok' GROUP BY source_id HAVING count(*) >= 3)")
                == 4
                }
        }
        false => false,
    };
    until("passes although nobody reads", SOON * 2, passes);
    let reading = std::thread::spawn(move || {
        let mut text = Vec::new();
        reader.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    });
    let before = home.number("SELECT count(*) FROM sync_runs WHERE status = 'ok'");
    until("it goes on", SOON, || home.number("SELECT count(*) FROM sync_runs WHERE status = 'ok'") > before + 4);
    send(child.id(), "-TERM");
    let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    let log = reading.join().unwrap();
    assert_eq!(status.code(), Some(0));
    assert_says(&log, &["log lines were lost", " ended"]);
    all.assert_all_exact(&home);
}

#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn o7_signals() {
    play("O7", async {
        crate::daemon::signals::heard_during_every_wait().await;
        crate::daemon::signals::second_signal().await;

        // Between two passes of a source that fails.
        let all = Everybody::start().await;
        let home = Home::new(&format!("{}poll = \"1s\"\n", zaia_source("zaia", &all.zaia)));
        all.zaia.world().faults("/api/v1/chats", 3, &Fault::status(400));
        let daemon = Daemon::start(&home);
        daemon.wait_for("the source fails");
        daemon.signal("-HUP");
        daemon.wait_for("the configuration was read again");
        daemon.wait_for("the source has recovered");
        daemon.end();

        // `sync`, in the middle of its first request.
        let home = Home::new(&bd_source("bd", &all.bd));
        for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
            all.bd.world().fault("/", Fault::Delay(60_000));
            let before = all.bd.world().requests();
            let mut child = home.start(&["sync"]);
            until("a request", SOON, || all.bd.world().requests() > before);
            send(child.id(), signal);
            let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
            assert_eq!(status.code(), Some(code));
        }
        home.sync().await;
        all.assert_exact(&home, "bd");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn o8_the_unit() {
    play("O8", async {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let unit = fs::read_to_string(root.join("systemd/chatloom.service")).unwrap();
        for setting in [
            "Type=notify",
            "WatchdogSec=120",
            "Restart=on-failure",
            "RestartPreventExitStatus=2",
            "DynamicUser=yes",
            "NoNewPrivileges=yes",
            "CapabilityBoundingSet=",
            "MemoryDenyWriteExecute=yes",
            "UMask=0077",
            "LimitCORE=0",
        ] {
            assert!(unit.lines().any(|line| line == setting), "{setting}");
        }
        if Command::new("systemd-analyze").arg("--version").output().is_ok_and(|found| found.status.success()) {
            let mut script = Command::new("/bin/sh");
            script.arg(root.join("tests/units.sh"));
            let done = run(script).await;
            assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
        }
    })
    .await;
}

/// Every table of content, row by row, ids and `rev` included.
fn tables(home: &Home) -> BTreeMap<String, Vec<String>> {
    let book_keeping = ["sync_runs", "cursors", "facts"];
    let mut names = home.rows("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'");
    names.retain(|name| !book_keeping.contains(&name.as_str()));
    assert!(names.len() > 10, "{names:?}");
    names.into_iter().map(|name| (name.clone(), home.rows(&format!("SELECT * FROM {name}")))).collect()
}

/// How long the log of a pass without news is, in bytes.
async fn idle_log(messages: usize) -> u64 {
    let sim = BdSim::start(large_bd(3, messages, NOW_MS)).await.unwrap();
    let home = Home::new(&bd_source("bd", &sim));
    home.sync().await;
    // A reader that began before keeps the log from being cut short.
    let reader = home.open();
    reader.execute_batch("BEGIN").unwrap();
    reader.query_row("SELECT count(*) FROM messages", [], |row| row.get::<_, i64>(0)).unwrap();
    home.sync().await;
    fs::metadata(home.folder.path().join("chatloom.db-wal")).unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn o9_again_although_nothing_changed() {
    play("O9", async {
        let all = Everybody::start().await;
        let home = Home::new(&all.config());
        home.sync().await;
        let before = tables(&home);
        for again in [&["backfill", "--json"][..], &["sync", "--json"]] {
            let done = home.run(again).await;
            assert_eq!(done.code, 0, "{}", done.stderr);
            for part in done.json()["sources"].as_array().unwrap() {
                for what in ["conversations", "messages"] {
                    for how in ["inserted", "updated", "deleted"] {
                        assert_eq!(part[what][how], 0, "{part}");
                    }
                }
            }
            for (name, rows) in tables(&home) {
                assert!(rows == before[&name], "{again:?} wrote to {name}");
            }
        }
        let (small, large) = (idle_log(300).await, idle_log(3000).await);
        assert!(large <= small + 40_000, "{large} bytes for ten times the messages of {small}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn o10_surroundings() {
    play("O10", async {
        let all = Everybody::start().await;
        let empty = tempfile::tempdir().unwrap();
        let mut permissions = fs::metadata(empty.path()).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(empty.path(), permissions).unwrap();
        let read_only = empty.path().to_str().unwrap();
        let surroundings: [&[(&str, &str)]; 6] = [
            &[],
            &[("LANG", "C"), ("LC_ALL", "C"), ("TZ", "Asia/Kathmandu"), ("TERM", "dumb")],
            &[("LC_ALL", "tr_TR.UTF-8"), ("TZ", "Pacific/Apia"), ("HOME", "/nowhere/at/all")],
            &[("TZ", ":no/such zone"), ("HOME", read_only), ("XDG_CONFIG_HOME", read_only), ("TERM", "xterm-256color")],
            &[("TZ", "America/St_Johns"), ("HOME", ""), ("COLUMNS", "20"), ("LANG", "\u{e9}")],
            &[("TZ", "EST5EDT,M3.2.0,M11.1.0"), ("HOME", read_only), ("TMPDIR", "/nowhere/at/all")],
        ];
        let mut told: Vec<Vec<String>> = Vec::new();
        for variables in surroundings {
            let home = Home::new(&bd_source("bd", &all.bd));
            let asked = |args: &[&str]| {
                let mut command = home.command(args, "off");
                command.envs(variables.iter().copied()).stdin(Stdio::null());
                run(command)
            };
            let done = asked(&["sync", "--json"]).await;
            assert_eq!(done.code, 0, "{variables:?}: {}", done.stderr);
            assert!(done.stderr.is_empty(), "{variables:?}: {}", done.stderr);
            all.assert_exact(&home, "bd");
            let mut said = Vec::new();
            let id = home.rows("SELECT min(external_id) FROM conversations WHERE deleted_at_ms IS NULL").remove(0);
            for args in [&["show", &id][..], &["verify", "--offline"], &["verify", "--offline", "--json"]] {
                let done = asked(args).await;
                assert_eq!(done.code, 0, "{variables:?}: {args:?}: {}", done.stderr);
                // Which row of the store it is depends on which source was faster.
                said.push(done.stdout.lines().filter(|line| !line.contains(" (row ")).collect());
            }
            said.extend(
                home.rows("SELECT count(*), min(sent_at), max(sent_at), sum(content_hash % 1000) FROM messages"),
            );
            told.push(said);
        }
        for (said, variables) in told.iter().zip(surroundings) {
            assert_eq!(said, &told[0], "{variables:?}");
        }
        assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0);
    })
    .await;
}
