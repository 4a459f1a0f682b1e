//! Z6 and Z7: rows, and how large and how many they may be.

use chatloom::sim::bd::BdData;
use chatloom::sim::sitegpt::SitegptData;
use chatloom::sim::zaia::ZaiaData;
use chatloom::sim::{BdSim, SitegptSim, ZaiaSim};
use serde_json::{Value, json};

use super::fault::Fault;
use super::play;
use super::proxy::Proxy;
use super::scale::weigh_sync;
use super::stage::part;
use crate::failures::assert_says;
use crate::harness::{Home, NOW_MS, assert_same, bd_source, copy_of, sitegpt_source, source, wanted, zaia_source};

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
