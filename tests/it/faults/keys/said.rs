//! Whether a key is ever said.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;

use base64::Engine as _;
use chatloom::sim::{BdSim, Fault as SimFault, SitegptSim, World, ZaiaSim, demo};
use serde_json::json;

use super::super::fault::{Answer, Fault};
use super::super::play;
use super::super::stage::{Stage, sync};
use super::has_messages;
use crate::daemon::{SOON, until};
use crate::harness::{Home, NOW_MS, run, source};

#[tokio::test(flavor = "multi_thread")]
async fn k9_a_key_is_nowhere_but_where_it_belongs() {
    // The search itself happens at the end of every run and of every story: see `traces`.
    play("K9", async {
        let stage = Stage::start().await;
        let home = stage.home("");
        for args in [&["check"][..], &["sync", "--full"], &["status"], &["status", "--json"], &["verify"], &["retry"]] {
            for format in ["text", "json"] {
                let args = [args, &["--log-format", format]].concat();
                home.run_logging(&args, "trace").await;
            }
        }
        stage.bd.always("/api/v2/chat_message_items", Fault::status(401));
        stage.zaia.always("/", Fault::ResetBefore);
        stage.sitegpt.always("/", Fault::html(200));
        assert_eq!(sync(&home).await.code, 1);
        stage.heal();

        // A mistake of ours in the middle of a pass.
        let fresh = stage.home("");
        let mut command = fresh.command(&["sync"], "trace");
        command.env("CHATLOOM_FAULTS", "panic=pass.listed").env("RUST_BACKTRACE", "full");
        let panicked = run(command).await;
        assert!(panicked.stderr.contains("panicked"), "{}", panicked.stderr);

        // And one that ends the process by force: no core is written, and none is handed to a program.
        let fresh = stage.home("");
        let mut command = fresh.command(&["sync"], "trace");
        command.env("CHATLOOM_FAULTS", "crash=commit.rows");
        let ended = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(ended.status.signal().is_some() && !ended.status.core_dumped(), "{:?}", ended.status);
        crate::traces::assert_keyless("stderr of what crashed", &ended.stderr);

        let config = stage.bd_source("poll = \"1s\"\n").replace("api_key = \"bd-key\"", "api_key_file = \"bd.secret\"");
        let daemon = Home::new(&config);
        let file = daemon.folder.path().join("bd.secret");
        fs::write(&file, "bd-key\n").unwrap();
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let mut process =
            daemon.command(&["run"], "trace").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        until("a first page", SOON, || has_messages(&daemon));
        let of_process = |name: &str| fs::read(format!("/proc/{}/{name}", process.id())).unwrap();
        for name in ["cmdline", "environ", "comm", "status"] {
            crate::traces::assert_keyless(name, &of_process(name));
        }
        let limits = String::from_utf8(of_process("limits")).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        let core: Vec<&str> = core.split_whitespace().collect();
        assert!(core[4..6].iter().all(|limit| matches!(*limit, "0" | "1")), "{core:?}");
        process.kill().unwrap();
        process.wait().unwrap();
    })
    .await;
}

/// A key as long as true ones are.
const BD_KEY: &str = "bd-ECHO-4be1/77c90d25+aa31f6";
const ZAIA_KEY: &str = "zaia-ECHO-e2d5509c41b7a883";
const SITEGPT_KEY: &str = "sitegpt-ECHO-0f6c33d8e97b12a4";

/// A provider that repeats a key in whatever it answers.
fn careless<D>(world: &mut World<D>, key: &str) {
    let packed = base64::engine::general_purpose::STANDARD.encode(key);
    for status in [500, 400] {
        let told = format!("bad key {key} ({packed}), ending in {}", key.get(key.len() - 8..).unwrap());
        let body = json!({"error": {"message": told, "key": key}, "message": told});
        world.fault("/", SimFault::Status(status, body, vec![("x-echo".to_owned(), key.to_owned())]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn k10_a_provider_repeats_the_key() {
    play("K10", async {
        let mut worlds = demo::worlds(4, NOW_MS);
        BD_KEY.clone_into(&mut worlds.bd.key);
        ZAIA_KEY.clone_into(&mut worlds.zaia.key);
        SITEGPT_KEY.clone_into(&mut worlds.sitegpt.key);
        let (thread, owner) = (worlds.bd.threads[0].token.clone(), worlds.bd.threads[0].owner.clone());
        let said = |key: &str| format!("my key is {key}, is it not?");
        worlds.bd.add_html(&thread, &owner, NOW_MS, &said(BD_KEY), &format!("<p>{}</p>", said(BD_KEY)));
        let chat = worlds.zaia.chats[0].id.clone();
        worlds.zaia.add_message(&chat, "user", None, NOW_MS, &said(ZAIA_KEY));
        let thread = worlds.sitegpt.threads[0].id.clone();
        worlds.sitegpt.add_normal(&thread, (&said(SITEGPT_KEY), NOW_MS), ("Yes.", NOW_MS + 1));
        let bd = BdSim::start(worlds.bd).await.unwrap();
        let zaia = ZaiaSim::start(worlds.zaia).await.unwrap();
        let sitegpt = SitegptSim::start(worlds.sitegpt).await.unwrap();
        let home = Home::new(
            &[
                source("bd", "brilliant_directories", &bd.base_url(), BD_KEY, ""),
                source("zaia", "zaia", &zaia.base_url(), ZAIA_KEY, ""),
                source("v0", "sitegpt", &sitegpt.base_url(), SITEGPT_KEY, "api = \"v0\"\n"),
            ]
            .concat(),
        );
        careless(&mut bd.world(), BD_KEY);
        careless(&mut zaia.world(), ZAIA_KEY);
        careless(&mut sitegpt.world(), SITEGPT_KEY);
        let refused = home.run_logging(&["sync", "--json"], "trace").await;
        assert_eq!(refused.code, 1, "{}", refused.stdout);
        assert!(refused.stdout.contains("bad key [key] ([key]==), ending in [key]"), "{}", refused.stdout);
        let done = home.run_logging(&["sync", "--full", "--json"], "trace").await;
        assert_eq!(done.code, 0, "{}", done.stdout);
        let kept = home.rows("SELECT body_text FROM messages WHERE body_text LIKE 'my key is %'");
        assert_eq!(kept, vec!["my key is [key], is it not?"; 3]);
        assert_eq!(home.number("SELECT count(*) FROM messages WHERE body_html LIKE '%[key]%'"), 1);
    })
    .await;
}

/// What a refusal with the key in its header becomes: the header is nobody's business.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_a_header_of_a_redirect_is_masked() {
    let stage = Stage::start().await;
    let away = Answer::json(302, &json!({})).with("location", "http://192.0.2.1/?key=bd-key#bd-key");
    stage.bd.always("/", Fault::Answer(away));
    let done = sync(&Home::new(&stage.bd_source(""))).await;
    assert_eq!(done.code, 1);
    assert!(done.stdout.contains("http://192.0.2.1/"), "{}", done.stdout);
}
