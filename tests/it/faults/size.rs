//! Z: size, and what the machine has to spare.

use std::io::Read as _;
use std::process::{Command, Stdio};

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
            files = files.max(std::fs::read_dir(format!("/proc/{}/fd", child.id())).map_or(0, Iterator::count));
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
    for name in ["bd", "zaia", "v0", "v2"] {
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
    play("Z1", async { refused(Fault::GzipBomb(2 << 30), &["larger than 67108864 bytes"], 12, 160).await }).await;
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
    play("Z3", async { refused(Fault::EndlessBody, &["larger than 67108864 bytes"], 12, 160).await }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn z4_a_body_announces_terabytes() {
    play("Z4", async { refused(Fault::HugeLength, &["larger than 67108864 bytes"], 12, 64).await }).await;
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
        for megabytes in [10, 50] {
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
                let home = Home::new(&config);
                let begin = std::time::Instant::now();
                let done = weigh_sync(&home).await;
                println!("{megabytes} MB {name}: {} kB in {:?}", done.peak_kb, begin.elapsed());
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
        let many = |rows: u64| {
            Fault::json(move |page| {
                let first = page["message"][0].clone();
                let row = |id: u64| {
                    let mut row = first.clone();
                    row["message_id"] = json!(id.to_string());
                    row
                };
                page["message"] = Value::Array((1_000..1_000 + rows).map(row).collect());
                page["total"] = json!(rows.to_string());
                page["total_pages"] = json!(1);
            })
        };
        let path = "/api/v2/chat_message_items";
        let config = source("bd", "brilliant_directories", &proxy.base_url(), "bd-key", "");
        proxy.always(path, many(200_000));
        let home = Home::new(&config);
        let done = weigh_sync(&home).await;
        println!("200,000 rows: {} kB", done.peak_kb);
        assert_eq!(done.run.code, 1, "{}", done.run.stdout);
        let part = part(&done.run, "bd");
        assert_says(
            part["error"].as_str().unwrap(),
            &["source bd", "messages", path.trim_start_matches('/'), "larger than 67108864 bytes"],
        );
        assert_eq!(home.number("SELECT count(*) FROM messages"), 0);

        proxy.heal();
        proxy.next(path, many(20_000));
        let home = Home::new(&config);
        let done = weigh_sync(&home).await;
        println!("20,000 rows: {} kB", done.peak_kb);
        assert_eq!(done.run.code, 0, "{}", done.run.stdout);
        assert_eq!(home.number("SELECT count(DISTINCT external_id) FROM messages"), 20_000);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn z8_json_is_nested_without_bottom() {
    play("Z8", async {
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        let page = deep(100_000);
        let body = page.clone();
        refused(Fault::body(move |_| body.clone().into_bytes()), &["gave up after 5 tries"], 40, 96).await;
        let body =
            format!("{{\"status\":\"success\",\"success\":true,\"ok\":true,\"message\":{page},\"data\":{page}}}");
        refused(Fault::body(move |_| body.clone().into_bytes()), &[], 40, 96).await;

        // In a field that nobody reads, of every row.
        let stage = Stage::start().await;
        for door in stage.doors() {
            let field = format!("{{\"abyss\":{page},\"id\":").into_bytes();
            door.proxy.always(door.all, Fault::replace("{\"id\":", &field));
        }
        let home = stage.home("");
        let done = sync(&home).await;
        assert_eq!(done.code, 0, "{}\n{}", done.stdout, done.stderr);
        stage.all.assert_all_exact(&home);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn z9_there_are_few_descriptors() {
    play("Z9", async {
        let stage = Stage::start().await;
        for limit in [8, 12, 16, 20, 24, 32, 48] {
            let home = stage.home("");
            let inside = home.command(&["sync", "--json"], "chatloom=info");
            let mut command = Command::new("sh");
            command.args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\"")]);
            command.arg(inside.get_program()).args(inside.get_args()).current_dir(home.folder.path());
            command.env("CHATLOOM_FAULTS", HASTE);
            let done = weigh(command).await;
            println!(
                "limit {limit}: {} with {} files, {} kB, {} {}",
                done.run.code, done.files, done.peak_kb, done.run.stdout, done.run.stderr
            );
        }
    })
    .await;
}
