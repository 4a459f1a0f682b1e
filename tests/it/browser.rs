//! The pages in a real browser: Debian's chromium, at the width of a phone and of a desk.

use serde_json::Value;

use crate::faults::play;
use crate::python::{said, script};
use crate::web_scene::{Stage, many};

/// Runs `tests/readers/browse.py` away from the threads that serve the page.
async fn browse(args: Vec<String>) -> Value {
    let told = tokio::task::spawn_blocking(move || said(script("browse.py").args(&args))).await.unwrap();
    serde_json::from_str(&told).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_link_leads_somewhere_and_nothing_of_a_message_runs() {
    play("I3", crawled()).await;
}

async fn crawled() {
    // Every link is followed three times: few conversations are enough.
    let few = "UPDATE conversations SET deleted_at_ms = 1 WHERE id < 90000 AND id % 24 <> 1";
    let stage = Stage::set("", None, |store| store.execute_batch(few).unwrap()).await;
    let told = browse(vec!["crawl".to_owned(), stage.base()]).await;
    let none: Vec<Value> = Vec::new();
    assert_eq!(told["problems"].as_array().unwrap(), &none, "{:#}", told["problems"]);
    let visited = told["visited"]["phone light"].as_array().unwrap();
    assert_eq!(visited, told["visited"]["desk light"].as_array().unwrap());
    for wanted in [
        "/",
        "/?days=all",
        "/conversations",
        "/people",
        "/runs",
        "/dead-letters",
        "/conversations/90001",
        "/people/90001",
        "/api/openapi.json",
        "/conversations/90001/messages/9000004/text",
        "/conversations?unanswered=1",
    ] {
        assert!(visited.iter().any(|page| page == wanted), "{wanted} is not linked to: {visited:?}");
    }
    let conversations = stage.number("SELECT count(*) FROM conversations WHERE deleted_at_ms IS NULL");
    let seen = visited.iter().filter(|page| {
        let rest = page.as_str().unwrap().strip_prefix("/conversations/");
        rest.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
    });
    assert_eq!(i64::try_from(seen.count()).unwrap(), conversations);

    // As text, tags and all.
    let texts = told["texts"].as_object().unwrap();
    let text = |path: &str| texts[&format!("{}{path}", stage.base())].as_str().unwrap();
    for path in ["conversations/90001", "people/90001", "conversations", "dead-letters", "runs"] {
        let shown = text(path);
        assert!(
            shown.contains("<script>alert('x')</script>") && shown.contains("<img src=x onerror="),
            "{path}: {shown}"
        );
        assert!(shown.contains("&lt;b&gt;"), "{path}: an entity is text as well");
    }

    let reached = told["keyboard"]["reached"].as_array().unwrap();
    let names: Vec<&str> = reached.iter().map(|stop| stop[0].as_str().unwrap()).collect();
    let wanted =
        ["Skip to the content", "chatloom", "Overview", "Conversations", "People", "Sync runs", "Dead letters", "q"];
    assert_eq!(names, wanted);
    assert!(reached.iter().all(|stop| stop[1] == true && stop[2] == true), "a focus that cannot be seen: {reached:?}");
    assert_eq!(told["keyboard"]["skipped_to"], "content");
    let scriptless = &told["scriptless"];
    assert!(scriptless["found"].as_i64().unwrap() > 0 && scriptless["hit"].as_i64().unwrap() > 0, "{scriptless}");
    assert!(scriptless["filtered"].as_str().unwrap().contains("unanswered=1"), "{scriptless}");
    let zoned = scriptless["zoned"].as_str().unwrap();
    assert!(zoned.contains("zone=Asia%2FTokyo") && zoned.contains("unanswered=1"), "{scriptless}");
    assert!(scriptless["carried"].as_str().unwrap().contains("zone=Asia%2FTokyo"), "{scriptless}");
    for part in ["keyboard", "scriptless"] {
        assert_eq!(told[part]["problems"].as_array().unwrap(), &none, "{told:#}");
    }
    stage.listener.close().await;
}

/// Pictures for people, of a store with months in it: `target/screenshots`.
#[tokio::test(flavor = "multi_thread")]
async fn the_pages_have_their_pictures_taken() {
    let stage = Stage::set("", None, many).await;
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
    // One with sources and an edit, if there is one.
    let shown = stage.number(
        "SELECT c.id FROM conversations AS c JOIN conversation_stats AS k ON k.conversation_id = c.id
         WHERE c.deleted_at_ms IS NULL AND c.id < 1000
         ORDER BY (SELECT count(*) FROM citations AS q JOIN messages AS m ON m.id = q.message_id WHERE m.conversation_id = c.id) > 0 DESC,
           (SELECT count(*) FROM message_revisions AS v JOIN messages AS m ON m.id = v.message_id WHERE m.conversation_id = c.id) DESC,
           k.agent_messages > 0 DESC, k.messages DESC LIMIT 1",
    );
    let person = stage.number("SELECT person_id FROM v_people ORDER BY conversations DESC LIMIT 1");
    let mut args = vec!["shoot".to_owned(), stage.base(), folder.display().to_string()];
    let pages = ["/", "/conversations", "/search?q=order", "/people", "/runs", "/dead-letters"];
    args.extend(pages.map(str::to_owned));
    args.extend([format!("/conversations/{shown}"), format!("/people/{person}")]);
    let told = browse(args).await;
    assert!(told["problems"].as_array().unwrap().is_empty(), "{told:#}");
    for name in ["overview", "conversations", "search", "people", "runs", "dead-letters", "conversation", "person"] {
        for width in ["phone", "desk"] {
            let picture = folder.join(format!("{name}-{width}-light.png"));
            assert!(picture.metadata().unwrap().len() > 5_000, "{}", picture.display());
        }
    }
    stage.listener.close().await;
}
