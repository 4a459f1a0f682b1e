//! Keeping the store: backups while it is in use, going back to one, tidying up, and what is kept for how long.
#![cfg(debug_assertions)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, mpsc};

use chatloom::sim::BdSim;
use chatloom::sim::bd::BdData;
use chatloom::sim::demo::large_bd;

use crate::harness::{Home, NOW_MS, bd_source, now_ms, output};
use crate::kill_rig::{bd, command, contents, differences, run, start, wait};

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(made) => made,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn files(home: &Home, folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(home.folder.path().join(folder)).unwrap().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The shell commands of the page, in order.
fn documented() -> String {
    let page = include_str!("../../docs/restore.md");
    let mut script = String::new();
    let mut inside = false;
    for line in page.lines() {
        match line.trim() {
            "```sh" => inside = true,
            "```" => inside = false,
            command if inside => script.extend([command, "\n"]),
            _ => {}
        }
    }
    script
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_taken_during_a_backfill_is_restored_as_documented_and_goes_on() {
    crate::faults::play("S11", async {
        let case = bd(large_bd(3, 1200, NOW_MS)).await.0;
        blocking(move || {
            let whole = Home::new(&case.config);
            assert_eq!(run(&whole, &["backfill"], "").code, Some(0));

            let home = Home::new(&case.config);
            let (arrived, arrival) = mpsc::channel();
            let (let_go, go) = mpsc::channel::<()>();
            let mut count = 0;
            // The provider waits with one answer in the middle of the history until the backup is made.
            case.on_request(move || {
                count += 1;
                if count == 12 && arrived.send(()).is_ok() {
                    // Let go, or gone.
                    go.recv().unwrap_or_default();
                }
            });
            let backfill = start(&home, &["backfill"], "");
            arrival.recv().unwrap();
            let made = run(&home, &["backup", "--json"], "");
            assert_eq!(made.code, Some(0), "{}", made.stderr);
            let told: serde_json::Value = serde_json::from_str(&made.stdout).unwrap();
            let messages = told["messages"].as_i64().unwrap();
            assert!(0 < messages && messages < 1200, "{told}");
            let path = home.folder.path().join(told["path"].as_str().unwrap());
            assert_eq!(std::fs::metadata(&path).unwrap().len(), told["size_bytes"].as_u64().unwrap());
            drop(let_go);
            assert_eq!(wait(&Mutex::new(backfill)).code, Some(0));

            // The disaster: half of the store is something else now, and its log is still there.
            let mut bytes = std::fs::read(home.db()).unwrap();
            bytes.iter_mut().skip(4096).for_each(|byte| *byte = 0x55);
            std::fs::write(home.db(), bytes).unwrap();
            std::fs::write(home.folder.path().join("chatloom.db-wal"), "what is left of a log").unwrap();
            let functions = "set -eu\nsystemctl() { :; }\nchatloom() { \"$BIN\" \"$@\"; }\n";
            let mut shell = Command::new("/bin/sh");
            shell.arg("-c").arg(format!("{functions}{}", documented()));
            command(&home, &mut shell, "")
                .env("BIN", assert_cmd::cargo::cargo_bin!("chatloom"))
                .env("BACKUP", &path)
                .env("PATH", "/usr/bin:/bin");
            let played = output(&mut shell);
            let said = [played.stdout, played.stderr].concat();
            assert_eq!(played.status.code(), Some(0), "{}", String::from_utf8_lossy(&said));
            assert_eq!(std::fs::metadata(home.db()).unwrap().permissions().mode() & 0o777, 0o600);
            let differences = differences(&contents(&home.db()), &contents(&whole.db()));
            let differences: Vec<String> =
                differences.into_iter().filter(|line| !line.contains(": cursor: ")).collect();
            assert!(differences.is_empty(), "{differences:#?}");
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_are_private_named_by_time_and_thinned_out() {
    let mut data = BdData::new();
    let ana = data.add_user("Ana", "Example");
    let thread = data.add_thread(&ana, "", NOW_MS);
    data.add_message(&thread, &ana, NOW_MS, "hello");
    let sim = BdSim::start(data).await.unwrap();
    let home = Home::new(&format!("[store]\nbackup_path = \"kept\"\nbackup_keep = 2\n\n{}", bd_source("s", &sim)));
    assert_eq!(home.run(&["backup"]).await.code, 1, "there is nothing yet");
    assert!(!home.folder.path().join("kept").exists());
    home.sync().await;
    let other = Home::new(&bd_source("s", &sim));
    other.sync().await;

    std::fs::create_dir(home.folder.path().join("kept")).unwrap();
    let strangers = ["chatloom-notes.db", "chatloom-20200101T000000.000Z.db", "other-20200101T000000.000Z.db"];
    for name in strangers {
        // One that is named like ours: another store's.
        std::fs::copy(other.db(), home.folder.path().join("kept").join(name)).unwrap();
    }
    let mut made: Vec<PathBuf> = Vec::new();
    for umask in ["000", "077", "022", "000"] {
        let mut shell = Command::new("/bin/sh");
        let binary = assert_cmd::cargo::cargo_bin!("chatloom");
        shell.arg("-c").arg(format!("umask {umask}; exec \"$0\" backup --json")).arg(binary);
        let done = output(command(&home, &mut shell, ""));
        let told: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        let path = home.folder.path().join(told["path"].as_str().unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "umask {umask}");
        assert_eq!((told["conversations"].as_i64(), told["messages"].as_i64()), (Some(1), Some(1)));
        made.push(path);
    }
    assert_eq!(files(&home, "kept").len(), strangers.len() + 2, "{:?}", files(&home, "kept"));
    assert!(made.iter().rev().take(2).all(|path| path.exists()) && !made[0].exists());
    // Anywhere else, as many as are asked for.
    for _ in 0..3 {
        assert_eq!(home.run(&["backup", "--to", "elsewhere", "--keep", "1"]).await.code, 0);
    }
    assert_eq!(files(&home, "elsewhere").len(), 1);
    assert_eq!(home.run(&["backup", "--keep", "0"]).await.code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_bears_a_later_time_takes_no_place() {
    let mut data = BdData::new();
    let ana = data.add_user("Ana", "Example");
    data.add_thread(&ana, "", NOW_MS);
    let sim = BdSim::start(data).await.unwrap();
    let home = Home::new(&bd_source("s", &sim));
    home.sync().await;
    let args = ["backup", "--keep", "2", "--json"];
    let backup = async || home.folder.path().join(home.run(&args).await.json()["path"].as_str().unwrap());
    let oldest = backup().await;
    // Made while the clock was years ahead.
    for year in ["2998", "2999"] {
        std::fs::copy(&oldest, oldest.with_file_name(format!("chatloom-{year}0101T000000.000Z.db"))).unwrap();
    }
    let (second, third) = (backup().await, backup().await);
    assert!(second.exists() && third.exists() && !oldest.exists(), "{:?}", files(&home, "backups"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_cannot_be_made_leaves_nothing() {
    let case = bd(large_bd(3, 600, NOW_MS)).await.0;
    blocking(move || {
        let home = Home::new(&case.config);
        assert_eq!(run(&home, &["sync"], "").code, Some(0));
        // No file may grow beyond 50 KiB: as good as a full disk.
        let mut shell = Command::new("/bin/sh");
        let binary = assert_cmd::cargo::cargo_bin!("chatloom");
        shell.arg("-c").arg("trap '' XFSZ; ulimit -f 100; exec \"$0\" backup").arg(binary);
        let failed = output(command(&home, &mut shell, ""));
        let said = String::from_utf8_lossy(&failed.stderr).into_owned();
        assert_eq!(failed.status.code(), Some(1), "{said}");
        assert!(said.contains("no backup was made in") && said.contains("backups"), "{said}");
        assert_eq!(files(&home, "backups"), Vec::<String>::new());
        // A file in the place of the folder.
        std::fs::write(home.folder.path().join("taken"), "").unwrap();
        let failed = run(&home, &["backup", "--to", "taken"], "");
        assert_eq!(failed.code, Some(1), "{}", failed.stderr);
        assert!(failed.stderr.contains("no backup was made in taken"), "{}", failed.stderr);
        // A damaged store is no backup.
        let mut bytes = std::fs::read(home.db()).unwrap();
        let page = usize::from(u16::from_be_bytes([bytes[16], bytes[17]]));
        let middle = bytes.len() / page / 2 * page;
        bytes[middle..middle + page].fill(0);
        std::fs::write(home.db(), bytes).unwrap();
        let failed = run(&home, &["backup"], "");
        assert_eq!(failed.code, Some(1), "{}{}", failed.stdout, failed.stderr);
        assert_eq!(files(&home, "backups"), Vec::<String>::new());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn maintenance_waits_for_nobody_and_is_refused_while_another_writes() {
    let case = bd(large_bd(3, 350, NOW_MS)).await.0;
    blocking(move || {
        let home = Home::new(&case.config);
        assert_eq!(run(&home, &["maintain"], "").code, Some(1), "there is nothing yet");
        assert!(!home.db().exists());
        let (arrived, arrival) = mpsc::channel();
        let (let_go, go) = mpsc::channel::<()>();
        case.on_request(move || {
            // Either end may be gone by now.
            (arrived.send(()).is_ok() && go.recv().is_ok()).then_some(());
        });
        let first = start(&home, &["sync"], "");
        arrival.recv().unwrap();
        let refused = run(&home, &["maintain"], "");
        assert_eq!(refused.code, Some(1));
        let words = format!("is being written by process {} (chatloom sync)", first.id());
        assert!(refused.stderr.contains(&words), "{}", refused.stderr);
        drop(let_go);
        assert_eq!(wait(&Mutex::new(first)).code, Some(0));

        // A reader that lingers is said, and no failure.
        let reader = home.open();
        reader.execute_batch("BEGIN; SELECT count(*) FROM messages").unwrap();
        let done = run(&home, &["maintain", "--json"], "");
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        reader.execute_batch("COMMIT").unwrap();
        drop(reader);
        let done = run(&home, &["maintain", "--json"], "");
        let told: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!(
            (told["log_truncated"].as_bool(), told["messages_erased"].as_u64()),
            (Some(true), Some(0)),
            "{told}"
        );
        assert_eq!(home.number("SELECT count(*) FROM messages WHERE body_text <> ''"), 350);
    })
    .await;
}

const DAY_MS: i64 = 86_400_000;

#[tokio::test(flavor = "multi_thread")]
async fn old_texts_and_old_raw_records_go_and_do_not_come_back() {
    let now = now_ms();
    let mut data = BdData::new();
    let (ana, ben) = (data.add_user("Ana", "Example"), data.add_user("Ben", "Example"));
    let thread = data.add_thread(&ana, &ben, now - 400 * DAY_MS);
    let picture = "<p>walnut <img src=\"https://www.example.test/walnut.png\"></p>";
    let first = data.add_html(&thread, &ana, now - 400 * DAY_MS, "walnut [image]", picture);
    for n in 0..300 {
        data.add_message(&thread, &ben, now - (399 - n) * DAY_MS, &"walnut and more walnut ".repeat(400));
    }
    data.add_message(&thread, &ana, now - DAY_MS, "maple");
    let sim = BdSim::start(data).await.unwrap();
    let sources = bd_source("s", &sim);
    let home = Home::new(&sources);
    home.sync().await;
    sim.world().data.edit_message(first, "walnut, edited");
    home.sync_with(&["--full"]).await;
    let (rows, raw) = ("SELECT count(*) FROM messages", "SELECT count(*) FROM raw_records");
    let before = (home.number(rows), home.number(raw));
    let size = std::fs::metadata(home.db()).unwrap().len();
    assert_eq!(home.number("SELECT count(*) FROM message_revisions"), 1);

    home.configure(&format!("[store]\nmessage_retention = \"30d\"\n\n{sources}"));
    let told = home.run(&["maintain", "--json"]).await.json();
    assert_eq!(told["messages_erased"].as_i64(), Some(301), "{told}");
    assert!(told["pages_freed"].as_i64() > Some(50), "{told}");
    assert!(std::fs::metadata(home.db()).unwrap().len() < size);
    let kept = "SELECT body_text FROM messages WHERE body_text <> ''";
    assert_eq!(home.rows(kept), ["maple"]);
    for gone in ["message_revisions", "attachments WHERE url IS NOT NULL", "messages WHERE body_html LIKE '%walnut%'"] {
        assert_eq!(home.number(&format!("SELECT count(*) FROM {gone}")), 0, "{gone}");
    }
    assert_eq!(home.number("SELECT count(*) FROM messages WHERE erased_at IS NOT NULL AND sent_at IS NOT NULL"), 301);
    // Counts, keys and times are what they were, and reading everything again finds nothing new.
    assert_eq!((home.number(rows), home.number(raw)), before);
    let rev = home.rev();
    for args in [&["--full"][..], &[]] {
        let told = home.sync_with(args).await;
        assert_eq!(told["sources"][0]["messages"]["updated"], 0, "{told}");
        home.assert_still(rev, "read again");
    }
    assert_eq!(home.run(&["retry", "--all"]).await.code, 0);
    home.assert_still(rev, "normalised again");
    // A late edit of an old text, and an old message that turns up late.
    sim.world().data.edit_message(first, "walnut, edited late");
    sim.world().data.add_message(&thread, &ana, now - 200 * DAY_MS, "walnut, found late");
    home.sync_with(&["--full"]).await;
    assert_eq!(home.rows(kept), ["maple"]);
    assert_eq!(home.number(rows), before.0 + 1);
    let raw_of_erased = "SELECT count(*) FROM raw_records AS r JOIN messages AS m ON m.id = r.row_id
                         WHERE r.stream = 'messages' AND m.erased_at IS NOT NULL AND length(r.body) > 0";
    assert_eq!(home.number(raw_of_erased), 0);

    // Raw records go by when they were read: nothing here is that old.
    home.configure(&format!("[store]\nraw_retention = \"30d\"\n\n{sources}"));
    assert_eq!(home.run(&["maintain", "--json"]).await.json()["raw_dropped"], 0);
    let connection = rusqlite::Connection::open(home.db()).unwrap();
    connection.execute("UPDATE raw_records SET observed_at_ms = ?1", [now - 31 * DAY_MS]).unwrap();
    drop(connection);
    let told = home.run(&["maintain", "--json"]).await.json();
    assert!(told["raw_dropped"].as_i64() >= Some(1), "{told}");
    assert_eq!(home.number("SELECT count(*) FROM raw_records WHERE length(body) > 0"), 0);
    let rev = home.rev();
    let told = home.sync_with(&["--full"]).await;
    assert_eq!(told["sources"][0]["messages"]["updated"], 0, "{told}");
    home.assert_still(rev, "known without their raw form");
    assert_eq!(home.number("SELECT count(*) FROM raw_records WHERE length(body) > 0"), 0, "and not written again");
    assert_eq!(home.run(&["retry", "--all"]).await.code, 0);
    home.assert_still(rev, "there is nothing to normalise");
}

#[tokio::test(flavor = "multi_thread")]
async fn maintenance_that_is_killed_is_gone_on_with() {
    let case = bd(large_bd(3, 350, NOW_MS)).await.0;
    blocking(move || {
        let config = format!("[store]\nmessage_retention = \"1d\"\n\n{}", case.config);
        let home = Home::new(&config);
        assert_eq!(run(&home, &["sync"], "").code, Some(0));
        assert_eq!(run(&home, &["maintain"], "crash=maintain.slice").code, None);
        assert_eq!(home.number("SELECT count(*) FROM messages WHERE erased_at IS NOT NULL"), 0);
        assert_eq!(run(&home, &["maintain"], "").code, Some(0));
        assert_eq!(home.number("SELECT count(*) FROM messages WHERE body_text <> ''"), 0);
        assert_eq!(run(&home, &["verify", "--offline"], "").code, Some(0));
    })
    .await;
}

/// Every message text of a world, as the provider has it.
fn nowhere(home: &Home, texts: &[String]) {
    let mut bytes = Vec::new();
    for name in ["chatloom.db", "chatloom.db-wal"] {
        bytes.extend(std::fs::read(home.folder.path().join(name)).unwrap_or_default());
    }
    let connection = home.open();
    let mut bodies = connection.prepare("SELECT id FROM raw_records WHERE length(body) > 0").unwrap();
    let mut rows = bodies.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let json = chatloom::store::raw_record(&connection, row.get(0).unwrap()).unwrap();
        bytes.extend(json.expect("a body that can be read back").into_bytes());
    }
    for text in texts {
        assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()), "{text:?} is still there");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_texts_are_quoted_nowhere_and_leave_no_bytes() {
    let worlds = chatloom::sim::demo::worlds(3, NOW_MS);
    let zaia = chatloom::sim::ZaiaSim::start(worlds.zaia).await.unwrap();
    let sitegpt = chatloom::sim::SitegptSim::start(worlds.sitegpt).await.unwrap();
    let sources = format!(
        "{}{}{}",
        crate::harness::zaia_source("agents", &zaia),
        crate::harness::sitegpt_source("v0", &sitegpt, "v0"),
        crate::harness::sitegpt_source("v2", &sitegpt, "v2")
    );
    let home = Home::new(&sources);
    home.sync().await;
    let texts: Vec<String> = home
        .rows("SELECT DISTINCT body_text FROM messages WHERE length(body_text) > 24 AND body_text NOT LIKE '%\n%'")
        .into_iter()
        .filter(|text| text.is_ascii() && !text.contains(['"', '\\', '/']))
        .collect();
    assert!(texts.len() > 50, "{}", texts.len());
    // All of it is older than a day by the clock on the wall.
    home.configure(&format!("[store]\nmessage_retention = \"1d\"\n\n{sources}"));
    assert_eq!(home.run(&["maintain"]).await.code, 0);
    assert_eq!(home.number("SELECT count(*) FROM messages WHERE body_text <> ''"), 0);
    nowhere(&home, &texts);
    let rev = home.rev();
    home.sync_with(&["--full"]).await;
    home.assert_still(rev, "read again");
    assert_eq!(home.run(&["retry", "--all"]).await.code, 0);
    nowhere(&home, &texts);
}
