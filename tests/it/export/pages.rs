//! Transcripts as pages: what strangers wrote is text there, and nothing else.

use super::{be_hostile, export, files};
use crate::failures::Everybody;
use crate::harness::Home;
use crate::python;

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_text_says_all_that_is_known_and_leads_nowhere_else() {
    let all = Everybody::start().await;
    be_hostile(&all);
    let home = Home::new(&format!("[reporting]\ntimezone = \"America/New_York\"\n{}", all.config()));
    home.sync().await;
    {
        // An edit and a deletion, as providers make them.
        let data = &mut all.bd.world().data;
        let (edited, deleted) = (data.messages[2].id, data.messages[3].id);
        data.edit_message(edited, "changed <b>");
        data.remove_message(deleted);
    }
    home.sync_with(&["--full"]).await;
    home.sync_with(&["--full"]).await;
    {
        let store = rusqlite::Connection::open(home.db()).unwrap();
        store
            .execute_batch(
                "UPDATE conversations SET complete = 0, incomplete_reason = '<b>limit' WHERE id = 3;
                 INSERT INTO attachments (message_id, ordinal, kind, url, name) VALUES
                   (1, 90, 'image', 'https://cdn.example.test/a?b=\"c\"&d', '<img src=x>.png'), (1, 91, 'file', 'javascript:alert(1)', NULL);
                 INSERT INTO citations (message_id, ordinal, url, title) VALUES (1, 90, 'http://shop.example.test/', '</a><script>');",
            )
            .unwrap();
    }
    assert!(home.number("SELECT count(*) FROM message_revisions") > 0);
    assert!(home.number("SELECT count(*) FROM messages WHERE deleted_at IS NOT NULL") > 0);
    export(&home, "html", "h", &[]).await;
    let mut reader = python::script("pages.py");
    reader.arg(home.db()).arg(home.folder.path().join("h"));
    assert_eq!(tokio::task::spawn_blocking(move || python::said(&mut reader)).await.unwrap().trim(), "held");

    let folder = home.folder.path().join("h");
    let mut all_text = String::new();
    for path in files(&folder) {
        let page = std::fs::read_to_string(folder.join(&path)).unwrap();
        assert!(!page.contains("<script") && !page.contains("<img") && !page.contains('\u{202e}'), "{path}");
        all_text.push_str(&page);
    }
    for part in [
        "there may be more at the provider (&lt;b&gt;limit)",
        "America/New_York",
        "Before an edit",
        "&lt;img src=x&gt;.png</a> <small>(cdn.example.test)</small>",
        "javascript:alert(1)</bdi></li>",
        "rel=\"noopener noreferrer nofollow\">&lt;/a&gt;&lt;script&gt;</a>",
        "all time, all sources.",
    ] {
        assert!(all_text.contains(part), "{part}");
    }
}
