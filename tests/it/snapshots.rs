//! What people read on the terminal, word for word.

use crate::harness::{Home, bd_source, sitegpt_source, source, zaia_source};
use chatloom::sim::{BdSim, SitegptSim, ZaiaSim, demo};

/// Numbers become `#`, so that a snapshot is about words. Columns that end in numbers may move: runs of blanks
/// become one or two.
fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        let digit = c.is_ascii_digit() || (c == '.' && out.ends_with('#'));
        match c {
            _ if digit && out.ends_with('#') => {}
            _ if digit => out.push('#'),
            ' ' if out.ends_with("  ") => {}
            c => out.push(c),
        }
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn help_says_what_each_command_does() {
    let home = Home::new("");
    let help = home.run(&["--help"]).await;
    assert_eq!((help.code, help.stderr.as_str()), (0, ""));
    insta::assert_snapshot!("help", help.stdout);
    let commands: Vec<&str> = help
        .stdout
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help" && line_starts(&help.stdout, command))
        .collect();
    assert!(commands.contains(&"sync") && commands.len() >= 7, "{commands:?}");
    for command in commands {
        let help = home.run(&[command, "--help"]).await;
        assert_eq!((help.code, help.stderr.as_str()), (0, ""));
        insta::assert_snapshot!(format!("help-{command}"), help.stdout);
    }
    let version = home.run(&["--version"]).await;
    assert_eq!(version.stdout, format!("chatloom {}\n", env!("CARGO_PKG_VERSION")));
}

/// A command's line is indented by two blanks; a wrapped description by more.
fn line_starts(help: &str, word: &str) -> bool {
    help.lines().any(|line| line.strip_prefix("  ").is_some_and(|line| line.starts_with(word)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_is_summed_up_in_a_line_per_source() {
    let worlds = demo::worlds(1, crate::harness::NOW_MS);
    let bd = BdSim::start(worlds.bd).await.unwrap();
    let zaia = ZaiaSim::start(worlds.zaia).await.unwrap();
    let sitegpt = SitegptSim::start(worlds.sitegpt).await.unwrap();
    let wrong = source("wrong", "zaia", &zaia.base_url(), "not-the-key", "");
    let home = Home::new(&format!(
        "{}{}{}{wrong}",
        bd_source("directory", &bd),
        zaia_source("agents", &zaia),
        sitegpt_source("bots", &sitegpt, "v2")
    ));
    let bad = bd.world().data.messages[5].id;
    bd.world().data.change_message(bad, |message| message.overrides = vec![("created_at", serde_json::json!("soon"))]);
    let done = home.run(&["sync"]).await;
    assert_eq!(done.code, 1);
    insta::assert_snapshot!("sync", without_numbers(&done.stdout));

    let status = home.run(&["status"]).await;
    assert_eq!(status.code, 0, "{}", status.stderr);
    insta::assert_snapshot!("status", without_numbers(&status.stdout));
    let check = home.run(&["check"]).await;
    assert_eq!(check.code, 1, "{}", check.stderr);
    insta::assert_snapshot!("check", without_numbers(&check.stdout));
}
