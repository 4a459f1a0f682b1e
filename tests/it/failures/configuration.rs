//! A configuration that is wrong: exit 2, everything that is wrong at once, and nothing done.

use super::{Everybody, assert_says};
use crate::harness::Home;

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_configuration_is_refused_as_a_whole_before_anything_is_asked() {
    let all = Everybody::start().await;
    let good = all.config();
    let cases: Vec<(String, Vec<&str>)> = vec![
        (format!("{good}\nretries = 3\n"), vec!["retries"]),
        (good.replacen("base_url", "base_urll", 1), vec!["base_urll", "base_url"]),
        (format!("[stores]\npath = \"x.db\"\n{good}"), vec!["stores", "store"]),
        (good.replacen("\"zaia\"", "\"zaja\"", 2), vec!["zaja", "zaia"]),
        (good.replacen("name = \"v2\"", "name = \"bd\"", 1), vec!["bd"]),
        (
            good.replacen("api_key = \"zaia-key\"", "api_key_env = \"NOT_SET_ANYWHERE\"", 1),
            vec!["NOT_SET_ANYWHERE", "zaia"],
        ),
        (good.replacen("api_key = \"zaia-key\"", "api_key_file = \"no.key\"", 1), vec!["no.key", "zaia"]),
        (good.replacen("http://127", "http://198.51.100.7/?x=127", 1), vec!["https", "bd"]),
        ("[[sources]\n".to_owned(), vec!["chatloom.toml"]),
        (String::new(), vec!["[[sources]]"]),
    ];
    for (config, words) in cases {
        let home = Home::new(&config);
        let done = home.run(&["sync", "--json"]).await;
        assert_eq!(done.code, 2, "{words:?}: {}\n{}", done.stdout, done.stderr);
        assert_says(&done.stderr, &words);
        assert!(done.stdout.is_empty() && !home.db().exists(), "{words:?}");
        for key in ["bd-key", "zaia-key", "sitegpt-key", "sgpt_test"] {
            assert!(!done.stderr.contains(key), "{}", done.stderr);
        }
    }
    let asked = all.bd.world().requests() + all.zaia.world().requests() + all.sitegpt.world().requests();
    assert_eq!(asked, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_usage_is_told_apart_from_failure() {
    let all = Everybody::start().await;
    let home = Home::new(&all.config());
    for args in [
        &["sync", "--source", "nobody"][..],
        &["sync", "--fast"],
        &["frobnicate"],
        &[],
        &["backfill", "--since", "yesterday"],
        &["backfill", "--since", "2026-02-01", "--until", "2026-01-01"],
        &["--config", "not-there.toml", "sync"],
    ] {
        let done = home.run(args).await;
        assert_eq!(done.code, 2, "{args:?}: {}\n{}", done.stdout, done.stderr);
        assert!(!done.stderr.is_empty(), "{args:?}");
    }
    let unknown = home.run(&["sync", "--source", "nobody"]).await;
    assert_says(&unknown.stderr, &["nobody", "bd", "zaia", "v0", "v2"]);
    let one = home.sync_with(&["--source", "bd"]).await;
    assert_eq!(one["sources"].as_array().unwrap().len(), 1);
    assert_eq!(all.zaia.world().requests(), 0);
}
