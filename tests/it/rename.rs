//! A source goes on under another name, or does not.

use chatloom::sim::BdSim;

use crate::harness::{Home, assert_same, bd_source, copy_of, demo_worlds, wanted};

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_source_goes_on_where_it_stood() {
    let bd = BdSim::start(demo_worlds(4).bd).await.unwrap();
    let home = Home::new(&bd_source("directory", &bd));
    assert_eq!(home.run(&["rename", "directory", "site"]).await.code, 1, "there is no store yet");
    assert_eq!(home.run(&["sync"]).await.code, 0);
    let rows = "SELECT (SELECT count(*) FROM messages) * 1000 + (SELECT count(*) FROM conversations)";
    let (held, rev) = (home.number(rows), home.number("SELECT rev FROM change_counter"));

    let unknown = home.run(&["rename", "nobody", "site"]).await;
    assert_eq!(unknown.code, 1);
    assert!(unknown.stderr.contains("no source `nobody`; it has: directory"), "{}", unknown.stderr);
    assert_eq!(home.run(&["rename", "directory", "Not A Name"]).await.code, 2);
    assert_eq!(home.run(&["rename", "directory", "directory"]).await.code, 2);

    let renamed = home.run(&["rename", "directory", "site"]).await;
    assert_eq!(renamed.code, 0, "{}", renamed.stderr);
    assert!(renamed.stdout.contains("name = \"site\" instead of name = \"directory\""), "{}", renamed.stdout);
    home.configure(&bd_source("site", &bd));
    let next = home.run(&["sync", "--json"]).await.json();
    assert!(next["sources"][0]["requests"].as_u64().unwrap() <= 4, "{next}");
    assert_eq!((home.number(rows), home.number("SELECT rev FROM change_counter")), (held, rev));
    assert_same(&copy_of(&home, "site"), &wanted(&bd.world().data.truth()));

    // Without `rename` another name is another source, and both keep what they have.
    home.configure(&bd_source("third", &bd));
    assert_eq!(home.run(&["sync"]).await.code, 0);
    assert_eq!(home.number(rows), held * 2);
    assert_same(&copy_of(&home, "third"), &copy_of(&home, "site"));
    let taken = home.run(&["rename", "site", "third"]).await;
    assert_eq!(taken.code, 1);
    assert!(taken.stderr.contains("already has a source `third`, with 120 conversations"), "{}", taken.stderr);
}
