//! Z: size, and what the machine has to spare.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chatloom::sim::bd::BdData;
use chatloom::sim::sitegpt::SitegptData;
use chatloom::sim::zaia::ZaiaData;
use chatloom::sim::{BdSim, SitegptSim, ZaiaSim};
use serde_json::{Value, json};

use super::fault::Fault;
use super::proxy::Proxy;
use super::stage::{HASTE, Stage, part, sync};
use super::{Row, play};
use crate::failures::assert_says;
use crate::harness::{Home, NOW_MS, Run, assert_same, bd_source, copy_of, sitegpt_source, source, wanted, zaia_source};

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
    Row::played("Z3", "chunks without end", "cut at 64 MiB, and the stream fails by name"),
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
];

/// Kibibytes of memory at the most, and files open at the most, while it ran.
struct Weighed {
    run: Run,
    peak_kb: u64,
    files: usize,
}

/// Runs a command and looks at it all the time.
async fn weigh(mut command: Command) -> Weighed {
    tokio::task::spawn_blocking(move || {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let gather = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            err.read_to_end(&mut bytes).unwrap();
            bytes
        });
        let stdout = std::thread::spawn(move || {
            let mut text = String::new();
            out.read_to_string(&mut text).unwrap();
            text
        });
        let (mut peak_kb, mut files) = (0, 0);
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            peak_kb = peak_kb.max(high_water(child.id()));
            // Before it became the binary it was a copy of this process.
            let name = std::fs::read_to_string(format!("/proc/{}/comm", child.id())).unwrap_or_default();
            if name.trim() == "chatloom" {
                files = files.max(std::fs::read_dir(format!("/proc/{}/fd", child.id())).map_or(0, Iterator::count));
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        };
        let stderr = String::from_utf8_lossy(&gather.join().unwrap()).into_owned();
        let run = Run { code: status.code().unwrap_or(-1), stdout: stdout.join().unwrap(), stderr };
        Weighed { run, peak_kb, files }
    })
    .await
    .unwrap()
}

/// The most memory that a process ever held, in KiB.
fn high_water(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

async fn weigh_sync(home: &Home) -> Weighed {
    let mut command = home.command(&["sync", "--json"], "chatloom=info");
    command.env("CHATLOOM_FAULTS", HASTE);
    weigh(command).await
}

/// The fault lies on the conversations and messages of one source after the other: each fails by name, in a bounded
/// number of requests and within so many MiB; the next run brings everything.
async fn refused(fault: Fault, words: &[&str], most_requests: usize, most_mb: u64) {
    refused_by(&["bd", "zaia", "v0", "v2"], fault, words, most_requests, most_mb).await;
}

/// The same for some of the sources.
async fn refused_by(names: &[&str], fault: Fault, words: &[&str], most_requests: usize, most_mb: u64) {
    for name in names.iter().copied() {
        let stage = Stage::start().await;
        let door = stage.doors().into_iter().find(|door| door.name == name).unwrap();
        door.proxy.always(door.talk, fault.clone());
        let config = match name {
            "bd" => stage.bd_source(""),
            "zaia" => stage.zaia_source(""),
            api => stage.sitegpt_source(api, ""),
        };
        let home = Home::new(&config);
        let done = weigh_sync(&home).await;
        println!("{fault:?} {name}: {} kB", done.peak_kb);
        assert_eq!(done.run.code, 1, "{}", done.run.stdout);
        let part = part(&done.run, name);
        assert_eq!(part["status"], "failed", "{part}");
        assert_says(part["error"].as_str().unwrap(), &[&format!("source {name}"), "api/v"]);
        assert_says(part["error"].as_str().unwrap(), words);
        assert_eq!(home.number("SELECT count(*) FROM messages"), 0);
        let asked = door.proxy.count(door.talk);
        assert!(asked <= most_requests, "{name}: {asked} requests");
        assert!(done.peak_kb <= most_mb * 1024, "{name}: {} kB", done.peak_kb);
        stage.assert_heals(&home).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn z1_a_small_body_unpacks_to_gigabytes() {
    play("Z1", async {
        let words = ["larger than 67108864 bytes"];
        refused(Fault::GzipBomb(2 << 30), &words, 20, 128).await;

        // In the place of many conversations, all sources at once: they are not unpacked side by side.
        let stage = Stage::start().await;
        let bot = stage.all.sitegpt.world().data.chatbots[0].id.clone();
        let paths = [
            (&stage.zaia, "/api/v1/chat-messages".to_owned()),
            (&stage.sitegpt, format!("/api/v0/chatbots/{bot}/threads/")),
            (&stage.sitegpt, format!("/api/v2/chatbots/{bot}/conversations/")),
        ];
        paths.iter().for_each(|(proxy, path)| proxy.times(path, 8, &Fault::GzipBomb(2 << 30)));
        let home = stage.home("");
        let done = weigh_sync(&home).await;
        println!("bombs side by side: {} kB", done.peak_kb);
        assert_eq!(done.run.code, 1, "{}", done.run.stdout);
        for name in ["zaia", "v0", "v2"] {
            let part = part(&done.run, name);
            assert_eq!(part["status"], "partial", "{part}");
            assert_says(part["error"].as_str().unwrap(), &[&format!("source {name}"), "messages of", words[0]]);
        }
        stage.all.assert_exact(&home, "bd");
        assert!(done.peak_kb <= 256 * 1024, "{} kB", done.peak_kb);
        stage.assert_heals(&home).await;
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
    play("Z3", async { refused(Fault::EndlessBody, &["larger than 67108864 bytes"], 20, 128).await }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn z4_a_body_announces_terabytes() {
    play("Z4", async { refused(Fault::HugeLength, &["larger than 67108864 bytes"], 20, 64).await }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn z5_a_head_does_not_end() {
    play("Z5", async { refused(Fault::EndlessHeaders, &["gave up after 5 tries", "head"], 20, 64).await }).await;
}

/// A text of so many bytes that packs well and is no repetition of one line.
fn long_text(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 64);
    for line in 0_u64.. {
        if text.len() >= bytes {
            break;
        }
        text.push_str("line ");
        text.push_str(&line.to_string());
        text.push_str(" of a very long message\n");
    }
    text.push_str("the end");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn z6_a_message_is_as_long_as_a_library() {
    play("Z6", async {
        // The largest only where it is quickest: an unoptimised binary takes its time over so much HTML.
        for (megabytes, sources) in [(10, ["bd", "zaia", "v0", "v2"].as_slice()), (50, &["zaia"])] {
            let text = long_text(megabytes * 1_000_000);
            let mut bd = BdData::new();
            let (ada, ben) = (bd.add_user("Ada", "Quill"), bd.add_user("Ben", "Marsh"));
            let thread = bd.add_thread(&ada, &ben, NOW_MS);
            let mut zaia = ZaiaData::new();
            let channel = zaia.add_channel("widget", "Website");
            let agent = zaia.add_agent("Iris");
            let visitor = zaia.add_external_user(&channel, None, Some("Cleo"));
            let chat = zaia.add_chat(Some(&channel), &visitor, &agent, NOW_MS);
            let mut sitegpt = SitegptData::new();
            let bot = sitegpt.add_chatbot("Shop");
            let talk = sitegpt.add_thread(&bot, NOW_MS);
            for (at, said) in (0_i64..).zip(["before", &text, "after"]) {
                bd.add_message(&thread, &ada, NOW_MS + at * 1_000, said);
                zaia.add_message(&chat, "user", Some(&visitor), NOW_MS + at * 1_000, said);
                sitegpt.add_normal(&talk, (said, NOW_MS + at * 1_000), ("indeed", NOW_MS + at * 1_000));
            }
            let bd = BdSim::start(bd).await.unwrap();
            let zaia = ZaiaSim::start(zaia).await.unwrap();
            let sitegpt = SitegptSim::start(sitegpt).await.unwrap();
            for (name, config) in [
                ("bd", bd_source("bd", &bd)),
                ("zaia", zaia_source("zaia", &zaia)),
                ("v0", sitegpt_source("v0", &sitegpt, "v0")),
                ("v2", sitegpt_source("v2", &sitegpt, "v2")),
            ] {
                if !sources.contains(&name) {
                    continue;
                }
                let home = Home::new(&config);
                let done = weigh_sync(&home).await;
                println!("{megabytes} MB {name}: {} kB", done.peak_kb);
                // Row, raw record and what it was read from are in memory side by side.
                assert!(done.peak_kb <= (100 + megabytes as u64 * 8) * 1024, "{name}: {} kB", done.peak_kb);
                assert_eq!(done.run.code, 0, "{}\n{}", done.run.stdout, done.run.stderr);
                let truth = match name {
                    "bd" => bd.world().data.truth(),
                    "zaia" => zaia.world().data.truth(),
                    _ => sitegpt.world().data.truth(),
                };
                // Not printed when it differs: it is long.
                assert!(copy_of(&home, name) == wanted(&truth), "{name}, {megabytes} MB");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn z7_a_page_has_as_many_rows_as_a_database() {
    play("Z7", async {
        let mut data = BdData::new();
        let (ada, ben) = (data.add_user("Ada", "Quill"), data.add_user("Ben", "Marsh"));
        let thread = data.add_thread(&ada, &ben, NOW_MS);
        data.add_message(&thread, &ada, NOW_MS, "the one and only");
        let sim = BdSim::start(data).await.unwrap();
        let proxy = Proxy::before(sim.addr()).await;
        let many = |rows: usize, subject: &str| {
            let subject = subject.to_owned();
            Fault::body(move |page| {
                let page: Value = serde_json::from_slice(&page).unwrap();
                let mut row = page["message"][0].clone();
                (row["message_id"], row["subject"]) = (json!("ID"), json!(subject));
                let row = row.to_string();
                let (before, after) = row.split_once("ID").unwrap();
                let mut body = "{\"status\":\"success\",\"total_pages\":1,\"current_page\":1,\"message\":[".to_owned();
                for id in 0..rows {
                    let comma = if id == 0 { "" } else { "," };
                    body.extend([comma, before, &(1_000 + id).to_string(), after]);
                }
                body.push_str("]}");
                body.into_bytes()
            })
        };
        let path = "/api/v2/chat_message_items";
        let config = source("bd", "brilliant_directories", &proxy.base_url(), "bd-key", "");
        proxy.always(path, many(200_000, &"a long subject ".repeat(20)));
        let home = Home::new(&config);
        let done = weigh_sync(&home).await;
        println!("200,000 rows: {} kB", done.peak_kb);
        assert_eq!(done.run.code, 1, "{}", done.run.stdout);
        let said = part(&done.run, "bd")["error"].as_str().unwrap().to_owned();
        assert_says(&said, &["source bd", "messages", path.trim_start_matches('/'), "larger than 67108864 bytes"]);
        assert_eq!(home.number("SELECT count(*) FROM messages"), 0);
        assert!(done.peak_kb <= 128 * 1024, "{} kB", done.peak_kb);

        proxy.heal();
        proxy.always(path, many(10_000, "hello"));
        let home = Home::new(&config);
        let done = weigh_sync(&home).await;
        println!("10,000 rows: {} kB", done.peak_kb);
        assert_eq!(done.run.code, 0, "{}", done.run.stdout);
        assert_eq!(home.number("SELECT count(DISTINCT external_id) FROM messages"), 10_000);
        assert!(done.peak_kb <= 128 * 1024, "{} kB", done.peak_kb);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn millions_of_values_in_a_body_are_refused_before_they_are_counted_in_memory() {
    let tiny = |row: &str| {
        let rows = vec![row; 25_000_000 / (row.len() + 1)].join(",");
        let body = format!("{{\"status\":\"success\",\"ok\":true,\"message\":[{rows}],\"data\":[{rows}]}}");
        Fault::body(move |_| body.clone().into_bytes())
    };
    refused(tiny("{}"), &["gave up after 5 tries", "more than 1000000 values"], 40, 160).await;
    refused(tiny("{\"a\":0,\"b\":0}"), &["gave up after 5 tries", "more than 1000000 values"], 40, 160).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_messages_in_a_conversation() {
    let mut zaia = ZaiaData::new();
    let channel = zaia.add_channel("widget", "Website");
    let agent = zaia.add_agent("Iris");
    let visitor = zaia.add_external_user(&channel, None, Some("Cleo"));
    let chat = zaia.add_chat(Some(&channel), &visitor, &agent, NOW_MS);
    let mut sitegpt = SitegptData::new();
    let bot = sitegpt.add_chatbot("Shop");
    let talk = sitegpt.add_thread(&bot, NOW_MS);
    for at in 0_i64..5_000 {
        let (asked, answered) = (NOW_MS + at * 2_000, NOW_MS + at * 2_000 + 1_000);
        let (question, answer) = (format!("question {at}"), format!("answer {at}"));
        zaia.add_message(&chat, "user", Some(&visitor), asked, &question);
        zaia.add_message(&chat, "assistant", Some(&agent), answered, &answer);
        sitegpt.add_normal(&talk, (&question, asked), (&answer, answered));
    }
    let zaia = ZaiaSim::start(zaia).await.unwrap();
    let sitegpt = SitegptSim::start(sitegpt).await.unwrap();
    for (name, config) in [
        ("zaia", zaia_source("zaia", &zaia)),
        ("v0", sitegpt_source("v0", &sitegpt, "v0")),
        ("v2", sitegpt_source("v2", &sitegpt, "v2")),
    ] {
        let home = Home::new(&config);
        let done = weigh_sync(&home).await;
        println!("{name}, 10,000 messages: {} kB", done.peak_kb);
        assert_eq!(done.run.code, 0, "{}", done.run.stdout);
        assert!(done.peak_kb <= 128 * 1024, "{} kB", done.peak_kb);
        let told = "SELECT count(*) || ' ' || c.complete || ' ' || coalesce(c.incomplete_reason, '-')
                    FROM messages AS m JOIN conversations AS c ON c.id = m.conversation_id GROUP BY c.id";
        if name == "zaia" {
            // Its endpoint gives a thousand at most and has no second page: what is left out is told of.
            assert_eq!(home.rows(told), ["1000 0 limit"]);
        } else {
            assert_eq!(home.rows(told), ["10000 1 -"]);
            assert_same(&copy_of(&home, name), &wanted(&sitegpt.world().data.truth()));
        }
    }
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
                text.replace(field, &format!("\"abyss\":{page},{field}")).into_bytes()
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
        for limit in [5, 12, 16, 20] {
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
