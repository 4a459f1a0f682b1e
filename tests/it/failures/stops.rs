//! Runs that end early: another writer, a kill at any moment, a signal. The next run goes on, and nothing is lost.

use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use chatloom::sim::{Fault, Sim, Site};

use super::{Everybody, assert_says};
use crate::harness::Home;

/// The id of the process that a simulator's hook may act upon.
type Victim = Arc<Mutex<Option<u32>>>;

/// Sends the process a signal when the simulator meets its `nth` request, before that request is answered.
fn at_request<D: Site>(sim: &Sim<D>, nth: usize, victim: &Victim, signal: &'static str) {
    let (mut seen, victim) = (0, Arc::clone(victim));
    sim.world().on_request(move |_, _| {
        seen += 1;
        if seen == nth
            && let Some(id) = *victim.lock().unwrap()
        {
            let sent = Command::new("kill").args([signal, &id.to_string()]).status().unwrap();
            assert!(sent.success());
        }
    });
}

const KILL: &str = "-KILL";
const TERM: &str = "-TERM";

/// Runs `sync` as the hook's victim until it ends, by itself or otherwise.
async fn run(home: &Home, victim: &Victim) -> ExitStatus {
    run_with(home, victim, &["sync", "--json"]).await
}

async fn run_with(home: &Home, victim: &Victim, args: &[&str]) -> ExitStatus {
    let mut child = {
        // The hook waits for this lock, so that it cannot miss the process.
        let mut place = victim.lock().unwrap();
        let child = home.start(args);
        *place = Some(child.id());
        child
    };
    let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    *victim.lock().unwrap() = None;
    status
}

fn lift<D: Site>(sim: &Sim<D>) {
    sim.world().before_request = None;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_moment_loses_nothing() {
    let all = Everybody::start().await;
    for nth in [1, 2, 4, 9, 40, 120] {
        let home = Home::new(&all.config());
        let victim = Victim::default();
        match nth {
            4 | 9 => at_request(&all.bd, nth, &victim, KILL),
            2 | 40 => at_request(&all.zaia, nth, &victim, KILL),
            _ => at_request(&all.sitegpt, nth, &victim, KILL),
        }
        let status = run(&home, &victim).await;
        assert_eq!(status.code(), None, "killed at request {nth}");
        lift(&all.bd);
        lift(&all.zaia);
        lift(&all.sitegpt);
        let before = home.number("SELECT count(*) FROM messages");
        home.sync().await;
        all.assert_all_exact(&home);
        assert!(home.number("SELECT count(*) FROM messages") > before, "it was in the middle");
        let runs = home.rows("SELECT DISTINCT status FROM sync_runs ORDER BY 1");
        assert!(runs == ["interrupted", "ok"], "request {nth}: {runs:?}");
        let told = "SELECT count(*) FROM sync_runs WHERE status = 'interrupted'
                    AND (error IS NULL OR finished_at_ms IS NULL)";
        assert_eq!(home.number(told), 0);
        let rev = home.rev();
        home.sync().await;
        home.assert_still(rev, "again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_pass_that_is_killed_over_and_over_still_comes_to_its_end() {
    let all = Everybody::start().await;
    let home = Home::new(&all.config());
    for nth in [30, 60, 90] {
        let victim = Victim::default();
        at_request(&all.zaia, nth, &victim, KILL);
        run(&home, &victim).await;
    }
    lift(&all.zaia);
    all.zaia.world().clear_log();
    home.sync().await;
    all.assert_all_exact(&home);
    let fetches = all.zaia.world().count("/api/v1/chat-messages");
    assert!(fetches < 120, "what was fetched before the kills is not fetched again: {fetches}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_pass_that_was_killed_is_no_reason_to_leave_anything_out_of_the_next() {
    let all = Everybody::start().await;
    let home = Home::new(&all.config());
    home.sync().await;
    let victim = Victim::default();
    at_request(&all.zaia, 90, &victim, KILL);
    run_with(&home, &victim, &["sync", "--full", "--json"]).await;
    lift(&all.zaia);
    // Edits that no list tells of, in the first chat and in the last: the killed process had read one of them.
    let edited = {
        let data = &mut all.zaia.world().data;
        [data.messages[0].id.clone(), data.messages.last().unwrap().id.clone()].map(|id| {
            data.edit_message(&id, crate::harness::NOW_MS, "said otherwise");
            id
        })
    };
    home.sync_with(&["--full"]).await;
    all.assert_all_exact(&home);
    let found = home.rows("SELECT external_id FROM messages WHERE body_text = 'said otherwise'");
    assert!(edited.iter().all(|id| found.contains(id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_a_run_between_two_pages_with_143() {
    let all = Everybody::start().await;
    let home = Home::new(&all.config());
    let victim = Victim::default();
    at_request(&all.sitegpt, 50, &victim, TERM);
    let status = run(&home, &victim).await;
    assert_eq!(status.code(), Some(143));
    lift(&all.sitegpt);
    assert_eq!(home.rows("PRAGMA integrity_check"), ["ok"]);
    let statuses = home.rows("SELECT DISTINCT status FROM sync_runs ORDER BY 1");
    assert!(statuses.contains(&"interrupted".to_owned()) && !statuses.contains(&"running".to_owned()), "{statuses:?}");
    home.sync().await;
    all.assert_all_exact(&home);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_writer_is_turned_away_at_once_and_told_by_whom() {
    let all = Everybody::start().await;
    let home = Home::new(&all.config());
    all.bd.world().fault("/", Fault::Delay(4_000));
    let (told, mut asked) = tokio::sync::mpsc::unbounded_channel();
    all.bd.world().on_request(move |_, _| told.send(()).unwrap_or_default());
    let mut first = home.command(&["sync", "--json"], "off").stdout(Stdio::null()).spawn().unwrap();
    asked.recv().await.unwrap();

    let second = home.run(&["sync", "--json"]).await;
    assert_eq!(second.code, 1);
    assert!(first.try_wait().unwrap().is_none(), "the first still runs: the second did not wait for it");
    assert_says(&second.stderr, &["chatloom.db", &format!("process {}", first.id()), "chatloom sync"]);
    assert!(second.stdout.is_empty());

    let status = tokio::task::spawn_blocking(move || first.wait().unwrap()).await.unwrap();
    assert!(status.success());
    all.assert_all_exact(&home);
    home.sync().await;
}
