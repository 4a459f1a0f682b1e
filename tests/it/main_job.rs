//! The main job: everything the providers hold, once, exactly; and nothing to do the second time.

use chatloom::sim::{BdSim, SitegptSim, ZaiaSim};

use crate::harness::{Home, assert_same, bd_source, copy_of, demo_worlds, sitegpt_source, wanted, zaia_source};

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
