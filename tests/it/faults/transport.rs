//! T: connections and transfers.

use std::process::Stdio;
use std::time::Duration;

use super::fault::Fault;
use super::proxy::Proxy;
use super::stage::{HASTE, PATIENCE, Stage, part, sync, sync_with};
use super::{Row, play};
use crate::daemon::{Daemon, send, until};
use crate::failures::assert_says;
use crate::harness::{Home, run, source};

pub(super) const ROWS: &[Row] = &[
    Row::played(
        "T1",
        "connection refused, name not found, then back",
        "a run tries five times, fails the source by name and reads the others; the daemon tells once, and recovers",
    ),
    Row::played("T2", "reset or closed before a byte of the answer", "tried again, five times at most"),
    Row::played(
        "T3",
        "reset in the head, reset or closed in the body",
        "the page is asked for again, whole; no part of it is stored",
    ),
    Row::played(
        "T4",
        "chunks cut or broken, gzip cut, a length too long or too short",
        "the page is asked for again, whole; no part of it is stored",
    ),
    Row::played(
        "T5",
        "a body without a length, cut in its middle",
        "JSON cut short: asked for again, not taken for bad data",
    ),
    Row::played("T6", "a server that never answers", "the try ends at the source's timeout and is made again"),
    Row::played("T7", "a server that stalls in the body", "the try ends at the source's timeout and is made again"),
    Row::played("T8", "head or body drip byte by byte", "the timeout is for the whole try, so a drip ends it"),
    Row::played("T9", "kept connections that the server closes after every answer", "every request gets through"),
    Row::played("T10", "every byte in a packet of its own", "read as if it came at once"),
    Row::played("T11", "answers come late", "read all the same; a signal ends the run without waiting for the answer"),
    Row::played("T12", "answers that are not HTTP at all", "tried again, five times at most; the error says so"),
    Row::played(
        "T13",
        "control bytes in a response header",
        "tried again, five times at most; the error says so, no panic",
    ),
    Row::played("T14", "a name with a dead IPv6 address before a live IPv4 one", "connects by the other address"),
];

/// Each of these befalls every source once, and one run brings everything.
async fn heals(faults: &[Fault], more: &str) {
    // So few that even if all of them meet one question, its last try goes through.
    assert!(faults.len() <= 4);
    let stage = Stage::start().await;
    for door in stage.doors() {
        door.proxy.next(door.all, Fault::Pass);
        faults.iter().for_each(|fault| door.proxy.next(door.talk, fault.clone()));
    }
    let home = stage.home(more);
    let done = sync(&home).await;
    assert_eq!(done.code, 0, "{faults:?}: {}\n{}", done.stdout, done.stderr);
    stage.all.assert_all_exact(&home);
    for door in stage.doors() {
        assert_eq!(door.proxy.faults_left(), 0, "{}", door.name);
        assert!(part(&done, door.name)["retries"].as_u64().unwrap() >= 1, "{}", done.stdout);
    }
    assert_eq!(home.number("SELECT count(*) FROM dead_letters"), 0);
}

/// It stays for the conversations and messages of every source: those fail by name in a bounded number of requests,
/// nothing of a broken answer is stored, and once it is gone one run brings everything.
async fn lasts(fault: Fault, more: &str, words: &[&str]) {
    let stage = Stage::start().await;
    stage.doors().iter().for_each(|door| door.proxy.always(door.talk, fault.clone()));
    let home = stage.home(more);
    let done = sync(&home).await;
    assert_eq!(done.code, 1, "{}", done.stdout);
    for door in stage.doors() {
        let part = part(&done, door.name);
        assert_eq!(part["status"], "failed", "{part}");
        let error = part["error"].as_str().unwrap();
        assert_says(error, &[&format!("source {}", door.name), "api/v", "gave up after 5 tries"]);
        assert_says(error, words);
        let asked = door.proxy.count(door.talk);
        assert!((5..=40).contains(&asked), "{}: {asked} requests", door.name);
    }
    assert_eq!(home.number("SELECT count(*) FROM messages"), 0);
    assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
    home.configure(&stage.config(""));
    stage.assert_heals(&home).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t1_nobody_is_there_yet() {
    play("T1", async {
        let stage = Stage::start().await;
        // A port that was free a moment ago.
        let away = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let more = "poll = \"1s\"\ntimeout = \"5s\"\n";
        let config = source("zaia", "zaia", &format!("http://{away}"), "zaia-key", more)
            + &source("nowhere", "sitegpt", "https://nobody.invalid", "k", "api = \"v0\"\ntimeout = \"2s\"\n")
            + &stage.bd_source(more);
        let home = Home::new(&config);
        let done = sync(&home).await;
        assert_eq!(done.code, 1, "{}", done.stdout);
        for (name, words) in [("zaia", "connection refused"), ("nowhere", "")] {
            let part = part(&done, name);
            assert_eq!((&part["status"], part["requests"].as_u64()), (&"failed".into(), Some(5)), "{part}");
            let error = part["error"].as_str().unwrap();
            assert_says(error, &[&format!("source {name}"), "api/v", "gave up after 5 tries", words]);
        }
        stage.all.assert_exact(&home, "bd");

        let without = config.replace("name = \"nowhere\"", "enabled = false\nname = \"nowhere\"");
        home.configure(&without);
        let daemon = Daemon::start_faulty(&home, "haste=20,speed=60");
        let failed = "SELECT count(*) FROM sync_runs AS r JOIN sources AS s ON s.id = r.source_id
                      WHERE s.name = 'zaia' AND r.status = 'failed'";
        until("passes that fail", PATIENCE, || home.number(failed) >= 4);
        let loud = |log: &str| log.lines().filter(|line| line.contains("ERROR") || line.contains("WARN")).count();
        assert_eq!(loud(&daemon.log()), 1, "one line, not one a try: {}", daemon.log());
        let _back = Proxy::at(away, stage.all.zaia.addr()).await;
        until("recovery", PATIENCE, || daemon.lines("the source has recovered") > 0);
        daemon.end();
        stage.all.assert_exact(&home, "zaia");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t2_a_connection_dies_before_the_answer() {
    play("T2", async {
        heals(&[Fault::ResetBefore, Fault::CloseBefore, Fault::ResetBefore, Fault::CloseBefore], "").await;
        lasts(Fault::ResetBefore, "", &[]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t3_a_connection_dies_in_the_middle_of_the_answer() {
    play("T3", async {
        heals(&[Fault::ResetInHead, Fault::ResetInBody, Fault::CloseInBody], "").await;
        lasts(Fault::CloseInBody, "", &["the answer was cut short"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t4_a_body_is_not_as_long_as_it_was_announced() {
    play("T4", async {
        heals(&[Fault::CutChunks, Fault::BrokenChunk, Fault::CutGzip, Fault::WrongLength(10)], "").await;
        heals(&[Fault::Chunks, Fault::Gzip, Fault::WrongLength(-10)], "").await;
        lasts(Fault::CutGzip, "", &["the answer was cut short"]).await;
        lasts(Fault::CutChunks, "", &["the answer was cut short"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t5_a_body_without_a_length_is_cut() {
    play("T5", async {
        heals(&[Fault::CutWithoutLength, Fault::CutWithoutLength], "").await;
        lasts(Fault::CutWithoutLength, "", &["JSON"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t6_a_server_never_answers() {
    play("T6", async {
        heals(&[Fault::Hang], "timeout = \"3s\"\n").await;
        lasts(Fault::Hang, "timeout = \"2s\"\n", &["timed out after 2 s"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t7_a_server_stalls_in_the_body() {
    play("T7", async {
        heals(&[Fault::StallInBody], "timeout = \"3s\"\n").await;
        lasts(Fault::StallInBody, "timeout = \"2s\"\n", &["timed out after 2 s"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t8_bytes_keep_dripping() {
    play("T8", async {
        let every = Duration::from_millis(400);
        heals(&[Fault::SlowHead(every), Fault::SlowBody(every)], "timeout = \"3s\"\n").await;
        lasts(Fault::SlowHead(every), "timeout = \"2s\"\n", &["timed out after 2 s"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t9_kept_connections_are_closed() {
    play("T9", async {
        let stage = Stage::start().await;
        stage.doors().iter().for_each(|door| door.proxy.always(door.all, Fault::CloseAfter));
        let home = stage.home("");
        let done = sync(&home).await;
        assert_eq!(done.code, 0, "{}\n{}", done.stdout, done.stderr);
        stage.all.assert_all_exact(&home);
        assert!(stage.zaia.connections() >= stage.zaia.seen().len(), "every request on a connection of its own");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t10_an_answer_comes_byte_by_byte() {
    play("T10", async {
        let stage = Stage::start().await;
        for door in stage.doors() {
            door.proxy.times(door.talk, 3, &Fault::Sliced);
        }
        let home = stage.home("");
        let done = sync(&home).await;
        assert_eq!(done.code, 0, "{}", done.stderr);
        for door in stage.doors() {
            assert_eq!(part(&done, door.name)["retries"], 0, "{}", done.stdout);
        }
        stage.all.assert_all_exact(&home);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t11_answers_come_late() {
    play("T11", async {
        let stage = Stage::start().await;
        for door in stage.doors() {
            door.proxy.times(door.talk, 8, &Fault::Late(Duration::from_millis(500)));
        }
        let home = stage.home("");
        let done = sync(&home).await;
        assert_eq!(done.code, 0, "{}", done.stderr);
        for door in stage.doors() {
            assert_eq!(part(&done, door.name)["retries"], 0, "{}", done.stdout);
        }
        stage.all.assert_all_exact(&home);

        // Later than anybody waits: told to end, the run does not wait either.
        let stage = Stage::start().await;
        stage.zaia.times("/api/v1/chat", 3, &Fault::Pass);
        stage.zaia.always("/api/v1/chat", Fault::Late(PATIENCE * 100));
        let home = Home::new(&stage.zaia_source("timeout = \"10m\"\n"));
        let mut child = home.start(&["sync", "--json"]);
        until("a request that hangs", PATIENCE, || stage.zaia.count("/api/v1/chat") >= 4);
        send(child.id(), "-TERM");
        let mut status = None;
        until("the end", PATIENCE, || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        assert_eq!(status.unwrap().code(), Some(143));
        home.configure(&stage.zaia_source(""));
        stage.assert_heals(&home).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t12_an_answer_is_not_http() {
    play("T12", async {
        let bytes = |bytes: &[u8]| Fault::Bytes(bytes.to_vec());
        heals(
            &[
                bytes(b"SSH-2.0-OpenSSH_9.2\r\n"),
                bytes(b"\x00\xff\x16\x03\x01\r\n\r\n"),
                bytes(b"HTTP/9.9 200 Soon\r\n\r\n"),
                bytes(b"HTTP/1.1 two hundred\r\n\r\n"),
            ],
            "",
        )
        .await;
        lasts(bytes(b"SSH-2.0-OpenSSH_9.2\r\n"), "", &["HTTP"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t13_a_header_holds_control_bytes() {
    play("T13", async {
        let strange = || Fault::header("set-cookie", "session=\u{1}\u{7}; path=/");
        heals(&[strange(), Fault::header("x-\u{0}name", "v")], "").await;
        lasts(strange(), "", &["header"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t14_the_first_address_of_a_name_is_dead() {
    play("T14", async {
        let stage = Stage::start().await;
        let home = Home::new(&stage.config("").replace("127.0.0.1", "localhost"));
        std::fs::write(home.folder.path().join("hosts"), "::1 localhost\n127.0.0.1 localhost\n").unwrap();
        // A table of hosts of its own for one process; where the machine forbids that, `localhost` is what it is there.
        let inside = "mount --bind hosts /etc/hosts && exec \"$0\" \"$@\"";
        let own = |script: &str, command: std::process::Command| {
            let mut own = std::process::Command::new("unshare");
            own.args(["-rm", "sh", "-c", script]).arg(command.get_program()).args(command.get_args());
            own.current_dir(home.folder.path()).env("CHATLOOM_FAULTS", HASTE);
            own
        };
        let sync = || home.command(&["sync", "--json"], "chatloom=debug");
        let may = own("mount --bind hosts /etc/hosts", sync()).stderr(Stdio::null()).status();
        let done = if may.is_ok_and(|status| status.success()) {
            run(own(inside, sync())).await
        } else {
            sync_with(&home, HASTE).await
        };
        assert_eq!(done.code, 0, "{}\n{}", done.stdout, done.stderr);
        stage.all.assert_all_exact(&home);
        for door in stage.doors() {
            assert_eq!(part(&done, door.name)["retries"], 0, "{}", done.stdout);
        }
    })
    .await;
}
