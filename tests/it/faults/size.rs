//! Z: size, and what the machine has to spare.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chatloom::sim::SitegptSim;
use chatloom::sim::sitegpt::SitegptData;

use super::fault::Fault;
use super::scale::{weigh, weigh_sync};
use super::stage::{HASTE, Stage, part, sync};
use super::{Row, play};
use crate::failures::assert_says;
use crate::harness::{Home, NOW_MS, copy_of, sitegpt_source};

pub(super) const ROWS: &[Row] = &[
    Row::played(
        "Z1",
        "a compression bomb of two gigabytes",
        "cut at 64 MiB of unpacked bytes, and the stream fails by name",
    ),
    Row::played(
        "Z2",
        "packed twice, packed but not said so, said so but not packed, an encoding nobody knows",
        "tried again, then an error; a body that is the promised JSON is read whatever its label",
    ),
    Row::played(
        "Z3",
        "chunks without end, one body or several at once",
        "cut at 64 MiB, and the stream fails by name; large bodies are read one at a time",
    ),
    Row::played("Z4", "a length of ten terabytes", "not read at all, and the stream fails by name"),
    Row::played("Z5", "header lines without end", "tried again, five times at most; the error says so"),
    Row::played("Z6", "messages of 10 and of 50 megabytes", "stored whole, like the others beside them"),
    Row::played(
        "Z7",
        "200,000 rows in a page of 70 MB, 20,000 in one of 7 MB, conversations of ten thousand messages",
        "what fits into 64 MiB is stored, a larger page is refused by name; Zaia's limit of 1,000 messages is told of",
    ),
    Row::played(
        "Z8",
        "JSON nested 100,000 deep, as a page and in a row",
        "no page, no stack overflow; in a row it is kept as it came",
    ),
    Row::played(
        "Z9",
        "32 file descriptors, one processor; a thousand pages",
        "works with few, says why with too few, and leaks none",
    ),
    Row::played(
        "Z10",
        "a long day with trouble of every kind, schedules sixty times faster",
        "memory and descriptors stay where they were, and every message is there at the end",
    ),
];

/// The fault lies on the conversations and messages of every source at once: each fails by name, in a bounded number of
/// requests, the process stays within so many MiB, and the next run brings everything.
async fn refused(fault: Fault, words: &[&str], most_requests: usize, most_mb: u64) {
    refused_by(&["bd", "zaia", "v0", "v2"], fault, words, most_requests, most_mb).await;
}

/// The same on some of the sources; the others are read.
async fn refused_by(names: &[&str], fault: Fault, words: &[&str], most_requests: usize, most_mb: u64) {
    let stage = Stage::start().await;
    let doors = stage.doors();
    let spoilt = |name: &str| names.contains(&name);
    doors.iter().filter(|door| spoilt(door.name)).for_each(|door| door.proxy.always(door.talk, fault.clone()));
    let home = stage.home("");
    let done = weigh_sync(&home).await;
    assert_eq!(done.run.code, 1, "{}", done.run.stdout);
    for door in doors {
        let part = part(&done.run, door.name);
        if !spoilt(door.name) {
            assert_eq!(part["status"], "ok", "{part}");
            stage.all.assert_exact(&home, door.name);
            continue;
        }
        assert_eq!(part["status"], "failed", "{part}");
        assert_says(part["error"].as_str().unwrap(), &[&format!("source {}", door.name), "api/v"]);
        assert_says(part["error"].as_str().unwrap(), words);
        assert_eq!(copy_of(&home, door.name).len(), 0);
        let asked = door.proxy.count(door.talk);
        assert!(asked <= most_requests, "{}: {asked} requests", door.name);
    }
    assert!(done.peak_kb <= most_mb * 1024, "{} kB", done.peak_kb);
    stage.assert_heals(&home).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn z1_a_small_body_unpacks_to_gigabytes() {
    play("Z1", async {
        let words = ["larger than 67108864 bytes"];
        refused_by(&["zaia", "v0", "v2"], Fault::GzipBomb(2 << 30), &words, 20, 192).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn z2_bodies_are_packed_in_other_ways_than_they_say() {
    play("Z2", async {
        let unsaid = || {
            Fault::body(|body| {
                let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                std::io::Write::write_all(&mut packer, &body).unwrap();
                packer.finish().unwrap()
            })
        };
        let stage = Stage::start().await;
        for door in stage.doors() {
            let faults =
                [Fault::GzipTwice, unsaid(), Fault::header("content-encoding", "gzip"), Fault::UnknownEncoding];
            faults.into_iter().for_each(|fault| door.proxy.next(door.talk, fault));
        }
        let home = stage.home("");
        let done = sync(&home).await;
        assert_eq!(done.code, 0, "{}", done.stderr);
        stage.all.assert_all_exact(&home);
        for (fault, words) in [
            (Fault::GzipTwice, vec!["gave up after 5 tries", "gzip, gzip"]),
            (unsaid(), vec!["gave up after 5 tries"]),
            (Fault::header("content-encoding", "gzip"), vec!["gave up after 5 tries", "unpacked"]),
        ] {
            refused(fault, &words, 40, 96).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn z3_a_body_does_not_end() {
    play("Z3", async {
        refused_by(&["zaia", "v2"], Fault::EndlessBody, &["larger than 67108864 bytes"], 20, 192).await;

        // Large ones in the place of several conversations at once, of all sources: they are not read side by side.
        let stage = Stage::start().await;
        let bot = stage.all.sitegpt.world().data.chatbots[0].id.clone();
        let paths = [
            (&stage.zaia, "/api/v1/chat-messages".to_owned()),
            (&stage.sitegpt, format!("/api/v0/chatbots/{bot}/threads/")),
            (&stage.sitegpt, format!("/api/v2/chatbots/{bot}/conversations/")),
        ];
        paths.iter().for_each(|(proxy, path)| proxy.times(path, 2, &Fault::StallAfter(60 << 20)));
        let home = stage.home("timeout = \"5s\"\n");
        let done = weigh_sync(&home).await;
        assert_eq!(done.run.code, 0, "{}\n{}", done.run.stdout, done.run.stderr);
        stage.all.assert_all_exact(&home);
        assert!(done.peak_kb <= 224 * 1024, "{} kB", done.peak_kb);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn z4_a_body_announces_terabytes() {
    play("Z4", async { refused(Fault::HugeLength, &["larger than 67108864 bytes"], 20, 64).await }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn z5_a_head_does_not_end() {
    play("Z5", async { refused(Fault::EndlessHeaders, &["gave up after 5 tries", "head"], 20, 64).await }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn millions_of_tiny_values_in_a_body_are_refused() {
    let tiny = |row: &str| {
        let rows = vec![row; 1_100_000].join(",");
        let body = format!("{{\"status\":\"success\",\"ok\":true,\"message\":[{rows}],\"data\":[{rows}]}}");
        Fault::body(move |_| body.clone().into_bytes())
    };
    refused(tiny("{}"), &["gave up after 5 tries", "more than 2000000 values"], 40, 256).await;
    refused(tiny("{\"a\":0,\"b\":0}"), &["gave up after 5 tries", "more than 2000000 values"], 40, 256).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn z8_json_is_nested_without_bottom() {
    play("Z8", async {
        let page = "[".repeat(100_000) + &"]".repeat(100_000);
        let body = page.clone();
        let deep_page = Fault::body(move |_| body.clone().into_bytes());
        refused_by(&["bd", "v0", "v2"], deep_page, &["gave up after 5 tries"], 40, 96).await;

        // Where a list belongs it may pass for a list of one strange record: then that is a dead letter.
        let body = format!("{{\"status\":\"success\",\"ok\":true,\"message\":{page},\"data\":{page}}}");
        let stage = Stage::start().await;
        for door in stage.doors() {
            let body = body.clone();
            door.proxy.always(door.talk, Fault::body(move |_| body.clone().into_bytes()));
        }
        let home = stage.home("");
        let done = sync(&home).await;
        assert_eq!(done.code, 1, "{}\n{}", done.stdout, done.stderr);
        for door in stage.doors() {
            assert_ne!(part(&done, door.name)["status"], "ok", "{}", done.stdout);
        }
        assert_eq!(home.number("SELECT count(*) FROM messages"), 0);
        stage.assert_heals(&home).await;

        // In a field that nobody reads, of every row of some pages.
        let stage = Stage::start().await;
        let dug = Arc::new(AtomicUsize::new(0));
        for door in stage.doors() {
            let (page, dug) = (page.clone(), Arc::clone(&dug));
            let dig = Fault::body(move |body| {
                let field = if door.name == "bd" { "\"created_at\":" } else { "\"createdAt\":" };
                let text = String::from_utf8(body).unwrap();
                dug.fetch_add(usize::from(text.contains(field)), Ordering::Relaxed);
                text.replacen(field, &format!("\"abyss\":{page},{field}"), 1).into_bytes()
            });
            door.proxy.times(door.talk, 4, &dig);
        }
        let home = stage.home("");
        let done = sync(&home).await;
        assert_eq!(done.code, 0, "{}\n{}", done.stdout, done.stderr);
        stage.all.assert_all_exact(&home);
        assert!(dug.load(Ordering::Relaxed) >= 8, "{dug:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn z9_there_are_few_descriptors() {
    play("Z9", async {
        let few = |home: &Home, limit: u32| {
            let inside = home.command(&["sync", "--json"], "chatloom=info");
            let mut command = Command::new("taskset");
            // One processor, and so many descriptors.
            command.args(["-c", "0", "sh", "-c", "ulimit -n \"$0\"; exec \"$@\"", &limit.to_string()]);
            command.arg(inside.get_program()).args(inside.get_args()).current_dir(home.folder.path());
            command.env("CHATLOOM_FAULTS", HASTE);
            command
        };
        let stage = Stage::start().await;
        let home = stage.home("");
        let done = weigh(few(&home, 32)).await;
        assert_eq!(done.run.code, 0, "{}\n{}", done.run.stdout, done.run.stderr);
        stage.all.assert_all_exact(&home);
        for limit in [5, 12, 16] {
            let home = stage.home("");
            let done = weigh(few(&home, limit)).await;
            let said = done.run.stdout + &done.run.stderr;
            println!("{limit} descriptors: {} {}", done.run.code, said.lines().last().unwrap_or_default());
            if done.run.code != 0 {
                assert_eq!(done.run.code, 1, "{limit}: {said}");
                let why = ["Too many open files", "unable to open database file"];
                assert!(why.iter().any(|why| said.contains(why)), "{limit}: {said}");
            }
            assert!(!said.contains("panicked"), "{limit}: {said}");
            if home.db().exists() {
                stage.assert_heals(&home).await;
            }
        }

        // A thousand requests: no descriptor is left behind.
        let mut data = SitegptData::new();
        let bot = data.add_chatbot("Shop");
        for at in 0_i64..1_000 {
            let talk = data.add_thread(&bot, NOW_MS + at * 60_000);
            data.add_normal(&talk, ("Hello?", NOW_MS + at * 60_000), ("Hello!", NOW_MS + at * 60_000));
        }
        let sim = SitegptSim::start(data).await.unwrap();
        let home = Home::new(&sitegpt_source("v0", &sim, "v0"));
        let done = weigh_sync(&home).await;
        println!("1,000 conversations: {} files, {} kB", done.files, done.peak_kb);
        assert_eq!(done.run.code, 0, "{}", done.run.stdout);
        assert!(part(&done.run, "v0")["requests"].as_u64().unwrap() >= 1_000, "{}", done.run.stdout);
        assert!(done.files <= 32, "{} files", done.files);
    })
    .await;
}
