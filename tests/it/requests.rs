//! What a pass may ask: pulling is bound by what providers allow, so requests are what it costs.
//!
//! The bounds: a first pass asks 1.1 times rows divided by page size of a feed; one request per conversation otherwise,
//! and its list pages times 1.5. A full pass asks 1.2 times what a first one does.

use chatloom::sim::{BdSim, SitegptSim, ZaiaSim, demo};

use crate::harness::{Home, every_source, now_ms};

const MESSAGES: usize = 6_000;
/// Rows of a page: the most that each provider gives (spec: pagination).
const BD_PAGE: usize = 100;
const ZAIA_PAGE: usize = 100;
const SITEGPT_PAGE: usize = 100;

/// The requests of each source in one run's report.
fn asked(report: &serde_json::Value) -> Vec<(String, usize)> {
    let sources = report["sources"].as_array().unwrap();
    let count = |source: &serde_json::Value| usize::try_from(source["requests"].as_u64().unwrap()).unwrap();
    sources.iter().map(|source| (source["name"].as_str().unwrap().to_owned(), count(source))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_asks_no_more_than_it_must() {
    let now = now_ms() - 3_600_000;
    let bd = BdSim::start(demo::large_bd(1, MESSAGES, now)).await.unwrap();
    let zaia = ZaiaSim::start(demo::large_zaia(2, MESSAGES, now)).await.unwrap();
    let sitegpt = SitegptSim::start(demo::large_sitegpt(3, MESSAGES / 2, now)).await.unwrap();
    let home = Home::new(&every_source(&bd, &zaia, &sitegpt));
    let threads = bd.world().data.threads.len();
    let chats = zaia.world().data.chats.len();
    let bots = sitegpt.world().data.chatbots.len();
    let talks = sitegpt.world().data.threads.len();
    let pages = |rows: usize, page: usize| rows.div_ceil(page);
    let feed = (MESSAGES + threads + 2).div_ceil(BD_PAGE);
    let most = |name: &str| match name {
        // Two lists and two members; the key, the zone and the end of each list besides.
        "bd" => feed * 11 / 10 + 4,
        // Chats, their details and contacts are lists; channels, responders and side threads a page or a few. Chats are
        // read a second time, in windows that prove that none was missed: about two requests a page.
        "zaia" => chats + (pages(chats, ZAIA_PAGE) * 3 + 7) * 3 / 2,
        _ => talks + (pages(talks, SITEGPT_PAGE) + bots + 1) * 3 / 2,
    };

    let first = asked(&home.sync().await);
    assert_eq!(home.number("SELECT count(*) FROM messages"), i64::try_from(MESSAGES * 4).unwrap());
    let rev = home.rev();
    for (name, requests) in &first {
        assert!(*requests <= most(name), "{name}: {requests} requests of {}", most(name));
    }

    let idle = asked(&home.sync().await);
    home.assert_still(rev, "an idle pass");
    for (name, requests) in &idle {
        let list = pages(talks, SITEGPT_PAGE) + bots;
        let most = match name.as_str() {
            "bd" => 4,
            "zaia" => 2,
            // A list whose last page is full has one more, which shows that it was the last.
            _ => list + 2,
        };
        assert!(*requests <= most, "{name}, idle: {requests} requests of {most}");
    }

    let full = asked(&home.sync_with(&["--full"]).await);
    home.assert_still(rev, "a full pass over what did not change");
    for ((name, first), (same, full)) in first.iter().zip(&full) {
        assert_eq!(name, same);
        assert!(*full * 10 <= *first * 12, "{name}: {full} requests of a full pass, {first} of the first");
    }
    println!("requests: first {first:?}, idle {idle:?}, full {full:?}");
}
