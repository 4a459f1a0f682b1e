//! H: statuses, and the pace that a provider asks for.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use chatloom::sim::{Fault as SimFault, RateLimit};
use serde_json::json;

use super::fault::{Answer, Fault};
use super::stage::{HASTE, PATIENCE, Stage, gaps, part, sync, sync_with};
use super::{Row, play};
use crate::daemon::{Daemon, until};
use crate::failures::assert_says;
use crate::harness::{Home, now_ms};

pub(super) const ROWS: &[Row] = &[
    Row::played(
        "H1",
        "429 with `Retry-After: 2`",
        "the whole credential waits two seconds, then goes on; nothing is lost",
    ),
    Row::played(
        "H2",
        "429 with `Retry-After` as a date, the server's clock right, an hour ahead, an hour behind, or not told",
        "waits until the date, measured from the answer's own `Date`",
    ),
    Row::played(
        "H3",
        "429 with `Retry-After` of the past, negative, `soon`, empty, or 0",
        "what says nothing counts as a bare 429, a minute's wait; 0 is met with an own delay of a quarter second or more",
    ),
    Row::played(
        "H4",
        "429 with `Retry-After` of twenty digits, or of an hour",
        "taken for a month at most; the stream is put off, what was read is kept, the credential is left alone, other sources go on",
    ),
    Row::played("H5", "429 without `Retry-After`, three times", "a minute's wait each time, then complete"),
    Row::played(
        "H6",
        "429 for ever",
        "a run gives up after five tries and keeps what it read; the daemon stays up, others go on, and the source recovers",
    ),
    Row::played(
        "H7",
        "500 three times, 502 with an HTML page, 503 with `Retry-After`",
        "tried again; the header is obeyed",
    ),
    Row::played(
        "H8",
        "401 or 403 from the start",
        "no retries; the message names source, endpoint, status and what to do; other sources go on",
    ),
    Row::played(
        "H9",
        "the key is refused in the middle of a pass",
        "what was read is kept, the source stops; with the new key the pass goes on and does not read everything again",
    ),
    Row::played(
        "H10",
        "404 or 410 for one conversation",
        "it is marked as deleted and its messages stay; the others are read; it comes back when the provider has it again",
    ),
    Row::played(
        "H11",
        "204, 205, 206 or 304",
        "no page: tried again; where it lasts, the stream fails by name and its cursor stays",
    ),
    Row::played(
        "H12",
        "200 whose body says no",
        "sorted by what the body says, never taken for an empty page; the cursor stays",
    ),
    Row::played(
        "H13",
        "200 with an HTML page (login, captive portal)",
        "tried five times at most, then an error that says HTML; the cursor stays",
    ),
    Row::played("H14", "a rate limit of the size that is configured", "not one request is refused"),
    Row::played(
        "H15",
        "the clock jumps by an hour or a day in the middle of a pass, forward and back",
        "waits and pace do not notice; cursors miss nothing that comes later",
    ),
];

const MESSAGES: &str = "/api/v2/chat_message_items";

/// A 429 with a `Retry-After` in so many seconds as a date, of a server whose clock is off by so much.
fn asks_by_date(seconds: i64, clock_off: Option<i64>) -> Fault {
    let shown = |ms: i64| {
        let at = Duration::from_millis(u64::try_from(ms).unwrap());
        httpdate::fmt_http_date(UNIX_EPOCH + at)
    };
    Fault::Edit(Arc::new(move |answer| {
        let now = now_ms() + clock_off.unwrap_or(0) * 1_000;
        let mut made = Answer::json(429, &json!({"error": "slow down"}));
        made = made.with("retry-after", &shown(now + seconds * 1_000));
        if clock_off.is_some() {
            made = made.with("date", &shown(now));
        }
        *answer = made;
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn h1_a_provider_says_when_to_come_back() {
    play("H1", async {
        let stage = Stage::start().await;
        stage.bd.next(MESSAGES, Fault::retry_after(429, "2"));
        let home = Home::new(&stage.bd_source(""));
        let done = sync_with(&home, "").await;
        assert_eq!(part(&done, "bd")["status"], "ok", "{}", done.stderr);
        assert!(gaps(&stage.bd, MESSAGES)[0] >= 2_000, "{:?}", stage.bd.seen());
        stage.all.assert_exact(&home, "bd");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h2_a_provider_says_when_to_come_back_as_a_date() {
    play("H2", async {
        let stage = Stage::start().await;
        let clocks = [Some(0), Some(3_600), Some(-3_600), None];
        for (door, clock) in stage.doors().iter().zip(clocks) {
            door.proxy.next(door.all, asks_by_date(3, clock));
        }
        let home = stage.home("");
        let done = sync_with(&home, "").await;
        assert_eq!(done.code, 0, "{}", done.stderr);
        for door in stage.doors() {
            // The date is written in whole seconds.
            assert!(gaps(door.proxy, door.all)[0] >= 2_000, "{}: {:?}", door.name, gaps(door.proxy, door.all));
        }
        stage.all.assert_all_exact(&home);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h3_a_provider_says_nothing_usable_about_when_to_come_back() {
    play("H3", async {
        let stage = Stage::start().await;
        for door in stage.doors() {
            for value in ["Sun, 06 Nov 1994 08:49:37 GMT", "-5", "soon", ""] {
                door.proxy.next(door.all, Fault::retry_after(429, value));
            }
        }
        let home = stage.home("");
        let done = sync_with(&home, "haste=60").await;
        assert_eq!(done.code, 0, "{}", done.stderr);
        for door in stage.doors() {
            // A minute, sixty times shorter.
            let gaps = gaps(door.proxy, door.all);
            assert!(gaps[..4].iter().all(|gap| *gap >= 1_000), "{}: {gaps:?}", door.name);
        }
        stage.all.assert_all_exact(&home);

        let stage = Stage::start().await;
        stage.doors().iter().for_each(|door| door.proxy.times(door.all, 3, &Fault::retry_after(429, "0")));
        let home = stage.home("");
        let done = sync_with(&home, "").await;
        assert_eq!(done.code, 0, "{}", done.stderr);
        for door in stage.doors() {
            let gaps = gaps(door.proxy, door.all);
            assert!(gaps[..3].iter().all(|gap| *gap >= 250), "{}: {gaps:?}", door.name);
        }
        stage.all.assert_all_exact(&home);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h4_a_provider_wants_to_be_left_alone_for_longer_than_a_run() {
    play("H4", async {
        let stage = Stage::start().await;
        let digits = "99999999999999999999";
        for (door, value) in stage.doors().iter().zip([digits, "3600", "3600"]) {
            door.proxy.times(door.talk, 3, &Fault::Pass);
            door.proxy.next(door.talk, Fault::retry_after(429, value));
        }
        let home = stage.home("");
        let done = sync(&home).await;
        assert_eq!(done.code, 1, "{}", done.stdout);
        for (door, seconds) in stage.doors().iter().zip(["2678400 s", "3600 s", "3600 s"]) {
            let part = part(&done, door.name);
            assert_eq!(part["status"], "partial", "{part}");
            let error = part["error"].as_str().unwrap();
            assert_says(error, &[&format!("source {}", door.name), "asks to wait", seconds, "later run"]);
            assert!(home.number(&format!("SELECT conversations FROM v_sources WHERE source = '{}'", door.name)) > 0);
            // Requests that were under way at that moment were answered; the credential's next ones were not sent.
            let seen: Vec<_> = door.proxy.seen().into_iter().filter(|seen| seen.target.starts_with(door.all)).collect();
            let refused = seen.iter().position(|seen| seen.fault.is_some()).unwrap();
            assert!(seen.len() - refused <= 4, "{}: {} after the refusal", door.name, seen.len() - refused);
        }
        assert_eq!(part(&done, "v2")["status"], "ok");
        stage.all.assert_exact(&home, "v2");
        stage.assert_heals(&home).await;

        // The daemon: the one source waits, without a request; the other keeps its rhythm.
        let stage = Stage::start().await;
        stage.bd.always("/", Fault::retry_after(429, digits));
        let often = "poll = \"1s\"\n";
        let home = Home::new(&(stage.bd_source(often) + &stage.zaia_source(often)));
        let daemon = Daemon::start(&home);
        let passes = |source: &str, ok: &str| {
            home.number(&format!(
                "SELECT count(*) FROM sync_runs AS r JOIN sources AS s ON s.id = r.source_id
                 WHERE s.name = '{source}' AND (r.status = 'ok') = {ok}"
            ))
        };
        until("the other source goes on", PATIENCE, || passes("zaia", "1") >= 3 && passes("bd", "0") >= 2);
        assert_eq!(stage.bd.seen().len(), 1, "left alone");
        stage.all.assert_exact(&home, "zaia");
        daemon.end();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h5_a_provider_refuses_and_does_not_say_for_how_long() {
    play("H5", async {
        let stage = Stage::start().await;
        stage.doors().iter().for_each(|door| door.proxy.times(door.all, 3, &Fault::status(429)));
        let home = stage.home("");
        let done = sync_with(&home, "haste=60").await;
        assert_eq!(done.code, 0, "{}", done.stderr);
        for door in stage.doors() {
            let gaps = gaps(door.proxy, door.all);
            assert!(gaps[..3].iter().all(|gap| *gap >= 1_000), "{}: {gaps:?}", door.name);
        }
        stage.all.assert_all_exact(&home);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h6_a_provider_refuses_for_ever() {
    play("H6", async {
        let stage = Stage::start().await;
        for door in stage.doors() {
            door.proxy.times(door.talk, 3, &Fault::Pass);
            door.proxy.always(door.talk, Fault::status(429));
        }
        let home = stage.home("");
        let done = sync_with(&home, "haste=300").await;
        assert_eq!(done.code, 1, "{}", done.stdout);
        for door in stage.doors() {
            let part = part(&done, door.name);
            assert_ne!(part["status"], "ok", "{part}");
            let said = part["error"].as_str().unwrap();
            assert_says(said, &[&format!("source {}", door.name), "api/v", "gave up after 5 tries: status 429"]);
            assert!(home.number(&format!("SELECT conversations FROM v_sources WHERE source = '{}'", door.name)) > 0);
            let requests = part["requests"].as_u64().unwrap();
            assert!(requests <= 100, "{}: {requests} requests", door.name);
        }
        stage.assert_heals(&home).await;

        let stage = Stage::start().await;
        stage.bd.always("/", Fault::status(429));
        let often = "poll = \"1s\"\n";
        let home = Home::new(&(stage.bd_source(often) + &stage.zaia_source(often)));
        let daemon = Daemon::start_faulty(&home, "haste=600,speed=60");
        until("trouble", PATIENCE, || daemon.lines("the source fails") > 0);
        let status = home.run(&["status", "--json"]).await.json();
        assert_eq!(status["sources"][0]["state"], "failing", "{status}");
        let passes = || home.number("SELECT count(*) FROM sync_runs WHERE status = 'ok'");
        let before = passes();
        until("the other source goes on", PATIENCE, || passes() >= before + 3);
        stage.heal();
        until("recovery", PATIENCE, || daemon.lines("the source has recovered") > 0);
        daemon.end();
        stage.all.assert_exact(&home, "bd");
        stage.all.assert_exact(&home, "zaia");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h7_a_server_stumbles() {
    play("H7", async {
        let stage = Stage::start().await;
        for (proxy, path) in [(&stage.bd, MESSAGES), (&stage.zaia, "/api/v1/chat"), (&stage.sitegpt, "/api/v")] {
            proxy.times(path, 3, &Fault::status(500));
            proxy.next(path, Fault::html(502));
            proxy.next(path, Fault::Pass);
            proxy.next(path, Fault::retry_after(503, "1"));
        }
        let home = stage.home("");
        let done = sync(&home).await;
        assert_eq!(done.code, 0, "{}", done.stderr);
        stage.all.assert_all_exact(&home);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h14_the_configured_rate_is_never_refused() {
    play("H14", async {
        let stage = Stage::start().await;
        let limit = Some(RateLimit { requests: 90, window: Duration::from_secs(60) });
        stage.all.zaia.world().rate_limit = limit;
        stage.all.sitegpt.world().rate_limit = limit;
        let rate = "requests_per_minute = 90\n";
        let config =
            (stage.zaia_source("") + &stage.sitegpt_source("v0", "")).replace("requests_per_minute = 1000000\n", rate);
        let home = Home::new(&config);
        let done = sync_with(&home, "").await;
        assert_eq!(done.code, 0, "{}\n{}", done.stdout, done.stderr);
        for name in ["zaia", "v0"] {
            let part = part(&done, name);
            assert_eq!(part["retries"], 0, "{part}");
            assert!(part["requests"].as_u64().unwrap() > 90, "more than a minute's worth: {part}");
            stage.all.assert_exact(&home, name);
        }
        let refused = |log: &[chatloom::sim::Logged]| log.iter().filter(|asked| asked.status == 429).count();
        assert_eq!(refused(&stage.all.zaia.world().log) + refused(&stage.all.sitegpt.world().log), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h15_the_clock_jumps() {
    play("H15", async {
        for (jump, reading) in [(86_400, 2), (-86_400, 2), (3_600, 20), (-3_600, 20)] {
            let stage = Stage::start().await;
            let home = stage.home("");
            stage.all.bd.world().fault("/", SimFault::retry_after(429, 2));
            let done = sync_with(&home, &format!("clock_jump={jump}:{reading}")).await;
            assert_eq!(done.code, 0, "{}", done.stderr);
            assert!(gaps(&stage.bd, "/")[0] >= 2_000, "{:?}", gaps(&stage.bd, "/"));
            stage.all.assert_all_exact(&home);
            // What is said next, while it jumps once more, and with the clock right again.
            stage.news("during the next jump", now_ms());
            let again = sync_with(&home, &format!("{HASTE},clock_jump={jump}:{reading}")).await;
            assert_eq!(again.code, 0, "{}", again.stderr);
            stage.all.assert_all_exact(&home);
            stage.news("after it", now_ms());
            stage.assert_heals(&home).await;
        }
    })
    .await;
}
