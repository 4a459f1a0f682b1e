//! H: statuses, and the pace that a provider asks for.

use super::fault::Fault;
use super::stage::{Stage, gaps, part, sync, sync_with};
use super::{Row, play};
use crate::harness::Home;

pub(super) const ROWS: &[Row] = &[
    Row::played(
        "H1",
        "429 with `Retry-After: 2`",
        "the whole credential waits two seconds, then goes on; nothing is lost",
    ),
    Row::played(
        "H7",
        "500 three times, 502 with an HTML page, 503 with `Retry-After`",
        "tried again; the header is obeyed",
    ),
];

const MESSAGES: &str = "/api/v2/chat_message_items";

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
