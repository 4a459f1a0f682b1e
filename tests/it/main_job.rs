//! The main job: everything the providers hold, once, exactly; and nothing to do the second time.

use chatloom::sim::{BdSim, SitegptSim, Truth, ZaiaSim, demo};

use crate::harness::{
    Copy, Home, assert_same, bd_source, copy_of, demo_worlds, every_source, heads_of, now_ms, sitegpt_source, wanted,
    wanted_heads, zaia_source,
};

#[tokio::test(flavor = "multi_thread")]
async fn one_sync_brings_every_message_and_the_second_finds_nothing_to_do() {
    let worlds = demo_worlds(1);
    let bd = BdSim::start(worlds.bd).await.unwrap();
    let zaia = ZaiaSim::start(worlds.zaia).await.unwrap();
    let sitegpt = SitegptSim::start(worlds.sitegpt).await.unwrap();
    let home = Home::new(&format!(
        "{}{}{}{}",
        bd_source("directory", &bd),
        zaia_source("agents", &zaia),
        sitegpt_source("bots", &sitegpt, "v0"),
        sitegpt_source("bots2", &sitegpt, "v2")
    ));

    let first = home.run(&["sync", "--json"]).await;
    assert_eq!(first.code, 0, "{}\n{}", first.stdout, first.stderr);
    assert_same(&copy_of(&home, "directory"), &wanted(&bd.world().data.truth()));
    assert_same(&copy_of(&home, "agents"), &wanted(&zaia.world().data.truth()));
    assert_same(&copy_of(&home, "bots"), &wanted(&sitegpt.world().data.truth()));
    assert_same(&copy_of(&home, "bots2"), &wanted(&sitegpt.world().data.truth()));
    let rev = home.number("SELECT rev FROM change_counter");

    let second = home.run(&["sync", "--json"]).await;
    assert_eq!(second.code, 0, "{}", second.stderr);
    assert_eq!(home.number("SELECT rev FROM change_counter"), rev, "{}", second.stdout);
    for source in second.json()["sources"].as_array().unwrap() {
        for rows in ["conversations", "messages"] {
            for change in ["inserted", "updated", "deleted"] {
                assert_eq!(source[rows][change], 0, "{source}");
            }
        }
        let requests = source["requests"].as_u64().unwrap();
        match source["provider"].as_str().unwrap() {
            "brilliant_directories" => assert!(requests <= 4, "{source}"),
            "zaia" => assert!(requests <= 2, "{source}"),
            _ => assert!(requests <= 8, "{source}"),
        }
    }
    assert!(bd.world().only_read() && zaia.world().only_read() && sitegpt.world().only_read());
}

/// What a pass that reads only what is new can see: messages that were there before may still say what they said.
fn but_for_edits(after: Copy, before: &Copy, held: &Copy) -> Copy {
    let seen = |ids: &(String, String), row| match before.get(ids) {
        Some(old) if held.get(ids) == Some(old) => old.clone(),
        _ => row,
    };
    after.into_iter().map(|(ids, row)| (ids.clone(), seen(&ids, row))).collect()
}

/// Titles where the provider shows them; Zaia's word on escalations is no part of the truth.
fn assert_same_heads(home: &Home, source: &str, truth: &Truth, titles: bool, escalations: bool) {
    let plain = |heads: crate::harness::Heads| {
        let plain = |(deleted, escalated, title)| {
            (deleted, if escalations { escalated } else { None }, if titles { title } else { None })
        };
        heads.into_iter().map(|(id, head)| (id, plain(head))).collect()
    };
    assert_same::<String, (bool, Option<bool>, Option<String>)>(
        &plain(heads_of(home, source)),
        &plain(wanted_heads(truth)),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_messages_are_held_exactly_through_changes_at_the_providers() {
    const MESSAGES: usize = 3_000;
    let now = now_ms() - 3_600_000;
    let bd = BdSim::start(demo::large_bd(1, MESSAGES, now)).await.unwrap();
    let mut workspace = demo::large_zaia(2, MESSAGES, now);
    workspace.quirks.removed_is_404 = true;
    let zaia = ZaiaSim::start(workspace).await.unwrap();
    let sitegpt = SitegptSim::start(demo::large_sitegpt(3, MESSAGES / 2, now)).await.unwrap();
    let home = Home::new(&every_source(&bd, &zaia, &sitegpt));
    let truths = || (bd.world().data.truth(), zaia.world().data.truth(), sitegpt.world().data.truth());

    home.sync().await;
    let first = truths();
    for (source, truth) in [("bd", &first.0), ("zaia", &first.1), ("v0", &first.2), ("v2", &first.2)] {
        assert_eq!(truth.messages.len(), MESSAGES);
        assert_same(&copy_of(&home, source), &wanted(truth));
    }
    assert_eq!(home.number("SELECT count(*) FROM conversations WHERE complete = 0"), 0);

    let rev = home.rev();
    let idle = home.sync().await;
    home.assert_still(rev, "an idle pass");
    for source in idle["sources"].as_array().unwrap() {
        let most = match source["name"].as_str().unwrap() {
            "bd" => 4,
            "zaia" => 2,
            _ => 6,
        };
        assert!(source["requests"].as_u64().unwrap() <= most, "{source}");
    }

    let read = bd.world().data.messages[17].id;
    bd.world().data.change_message(read, |message| message.read = true);
    demo::evolve_bd(&mut bd.world().data, 7, now_ms());
    demo::evolve_zaia(&mut zaia.world().data, 7, now_ms());
    demo::evolve_sitegpt(&mut sitegpt.world().data, 7, now_ms());
    let second = truths();
    let report = home.sync().await;
    for (source, before, after) in
        [("bd", &first.0, &second.0), ("zaia", &first.1, &second.1), ("v2", &first.2, &second.2)]
    {
        let held = copy_of(&home, source);
        assert!(after.messages.len() > before.messages.len());
        assert_same(&held, &but_for_edits(wanted(after), &wanted(before), &held));
    }
    // The lists of v0 count the votes, so that even a late one deep in its thread moves a fingerprint.
    assert_same(&copy_of(&home, "v0"), &wanted(&second.2));
    // A thread's deletion moves its time.
    assert_same_heads(&home, "bd", &second.0, false, true);
    for source in report["sources"].as_array().unwrap() {
        assert!(source["requests"].as_u64().unwrap() <= 30, "an ordinary pass reads what changed: {source}");
    }

    home.sync_with(&["--full"]).await;
    for (source, truth) in [("bd", &second.0), ("zaia", &second.1), ("v0", &second.2), ("v2", &second.2)] {
        assert_same(&copy_of(&home, source), &wanted(truth));
        assert_same_heads(&home, source, truth, source != "v0", !source.starts_with("zaia"));
    }
    assert_eq!(home.number(&format!("SELECT read FROM messages WHERE external_id = '{read}'")), 1);
    for (source, before, after) in [("bd", &first.0, &second.0), ("zaia", &first.1, &second.1)] {
        let edited = before.messages.iter().filter(|(ids, row)| after.messages[*ids].text != row.text);
        let edited: Vec<String> = edited.map(|((_, id), row)| format!("{id}|1|{}", row.text)).collect();
        assert_eq!(edited.len(), 1);
        let kept = home.rows(&format!(
            "SELECT m.external_id, r.revision, r.body_text FROM message_revisions AS r
             JOIN messages AS m ON m.id = r.message_id JOIN conversations AS c ON c.id = m.conversation_id
             JOIN sources AS s ON s.id = c.source_id WHERE s.name = '{source}'"
        ));
        assert_eq!(kept, edited, "what an edited message said before is kept");
    }

    let rev = home.rev();
    home.sync_with(&["--full"]).await;
    home.assert_still(rev, "a second full pass finds nothing to change");
    assert_eq!(home.number("SELECT count(*) FROM pragma_foreign_key_check"), 0);
}
