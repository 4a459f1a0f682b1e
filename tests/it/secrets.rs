//! Keys and other people's secrets: they are used, and stand nowhere afterwards.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use chatloom::sim::bd::TokenLookup;
use chatloom::sim::{BdSim, Fault, SitegptSim, World, ZaiaSim, demo};
use serde_json::json;

use crate::harness::{Home, NOW_MS, output, source};

const BD_KEY: &str = "bd-KEY-a81f03c7e5";
const ZAIA_KEY: &str = "zaia-KEY-5d2290bb1f";
const SITEGPT_KEY: &str = "sitegpt-KEY-77aa01";
const SITEGPT_TOKEN: &str = "sgpt_KEY-0c4e9d26";

/// Refusals of a careless provider, which repeats the key in its body and headers.
fn careless<D>(world: &mut World<D>, path: &str, key: &str) {
    for status in [500, 503] {
        let body = json!({"error": format!("cannot handle key {key}"), "message": key, "request": {"key": key}});
        world.fault(path, Fault::Status(status, body, vec![("x-echo".to_owned(), key.to_owned())]));
    }
}

/// Every byte that a run leaves behind, by where it stands.
fn traces(home: &Home, outputs: &[(String, String)]) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<(String, Vec<u8>)> = Vec::new();
    for (name, text) in outputs {
        found.push((name.clone(), text.clone().into_bytes()));
    }
    for entry in fs::read_dir(home.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name != "chatloom.toml" {
            found.push((name, fs::read(&path).unwrap()));
        }
    }
    // What is packed away counts as well.
    let connection = home.open();
    let mut statement = connection.prepare("SELECT id FROM raw_records WHERE length(body) > 0").unwrap();
    let mut unpacked = Vec::new();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let json = chatloom::store::raw_record(&connection, row.get(0).unwrap()).unwrap();
        unpacked.extend(json.expect("a readable body").into_bytes());
        unpacked.push(b'\n');
    }
    found.push(("raw_records, unpacked".to_owned(), unpacked));
    found
}

fn assert_nowhere(traces: &[(String, Vec<u8>)], secrets: &[String]) {
    for (name, bytes) in traces {
        for secret in secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "`{secret}` stands in {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_stands_anywhere_but_in_the_configuration() {
    let mut worlds = demo::worlds(9, NOW_MS);
    BD_KEY.clone_into(&mut worlds.bd.key);
    (worlds.bd.quirks.leak_secrets, worlds.bd.quirks.token_lookup) = (true, TokenLookup::Works);
    ZAIA_KEY.clone_into(&mut worlds.zaia.key);
    SITEGPT_KEY.clone_into(&mut worlds.sitegpt.key);
    SITEGPT_TOKEN.clone_into(&mut worlds.sitegpt.token);
    let mut secrets: Vec<String> = [BD_KEY, ZAIA_KEY, SITEGPT_KEY, SITEGPT_TOKEN].map(str::to_owned).into();
    secrets.extend(["hook-secret-", "$2y$10$hash-of-", "cookie-of-"].map(str::to_owned));
    let bd = BdSim::start(worlds.bd).await.unwrap();
    let zaia = ZaiaSim::start(worlds.zaia).await.unwrap();
    let sitegpt = SitegptSim::start(worlds.sitegpt).await.unwrap();
    let config = |bd_key: &str, zaia_key: &str, v0: &str, v2: &str| {
        [
            source("bd", "brilliant_directories", &bd.base_url(), bd_key, ""),
            source("zaia", "zaia", &zaia.base_url(), zaia_key, ""),
            source("v0", "sitegpt", &sitegpt.base_url(), v0, "api = \"v0\"\n"),
            source("v2", "sitegpt", &sitegpt.base_url(), v2, "api = \"v2\"\n"),
        ]
        .concat()
    };
    let right = config(BD_KEY, ZAIA_KEY, SITEGPT_KEY, SITEGPT_TOKEN);
    let home = Home::new(&right);
    let mut outputs = Vec::new();
    let mut note = |what: &str, run: crate::harness::Run| {
        outputs.push((format!("stdout of {what}"), run.stdout));
        outputs.push((format!("stderr of {what}"), run.stderr));
    };

    // Wrong keys are keys all the same: mostly the right one with a slip.
    home.configure(&config("bd-WRONG-1f", "zaia-WRONG-2f", "v0-WRONG-3f", "v2-WRONG-4f"));
    secrets.extend(["bd-WRONG-1f", "zaia-WRONG-2f", "v0-WRONG-3f", "v2-WRONG-4f"].map(str::to_owned));
    for (world, key) in [("site_info", "bd-WRONG-1f"), ("token", "bd-WRONG-1f")] {
        let body = json!({"status": "error", "message": format!("Invalid API Key {key}")});
        bd.world().fault(&format!("/api/v2/{world}"), Fault::Status(401, body, Vec::new()));
    }
    note("sync with wrong keys", home.run_logging(&["sync", "--json"], "trace").await);

    home.configure(&right);
    careless(&mut bd.world(), "/api/v2/chat_message_items", BD_KEY);
    careless(&mut zaia.world(), "/api/v1/chat-messages", ZAIA_KEY);
    careless(&mut sitegpt.world(), "/api/v0/", SITEGPT_KEY);
    careless(&mut sitegpt.world(), "/api/v2/", SITEGPT_TOKEN);
    let echo = |key: &str| Fault::Status(403, json!({"message": format!("key {key} may not")}), Vec::new());
    zaia.world().fault("/api/v1/chat-messages", echo(ZAIA_KEY));
    bd.world().fault("/api/v2/user", echo(BD_KEY));
    note("a careless provider", home.run_logging(&["sync", "--json"], "trace").await);
    note("sync", home.run_logging(&["sync"], "trace").await);
    // News, so that names are looked up again.
    {
        let data = &mut bd.world().data;
        let (thread, owner) = (data.threads[0].token.clone(), data.threads[0].owner.clone());
        data.add_message(&thread, &owner, NOW_MS, "Any news?");
    }
    note("sync --full", home.run_logging(&["sync", "--full"], "trace").await);
    note("sync as JSON", home.run_logging(&["--log-format", "json", "sync", "--full"], "trace").await);
    for args in [&["check"][..], &["status"], &["status", "--json"], &["--help"]] {
        note(&args.join(" "), home.run_logging(args, "trace").await);
    }
    let conversation = home.rows("SELECT external_id FROM conversations LIMIT 1").remove(0);
    note("show", home.run_logging(&["show", &conversation], "trace").await);
    // The path of the key in the configuration, and a broken line around it.
    home.configure(&format!("{right}\n[[sources]]\napi_key = \"{BD_KEY}\nprovider = 3\n"));
    note("a broken configuration", home.run_logging(&["sync"], "trace").await);
    home.configure(&format!("{right}\nunknown = \"{BD_KEY}\"\n"));
    note("an unknown key", home.run_logging(&["sync"], "trace").await);

    assert!(home.number("SELECT count(*) FROM raw_records WHERE stream = 'users'") > 0, "members were looked up");
    assert!(home.number("SELECT count(*) FROM raw_records WHERE stream = 'thread'") > 0, "threads were fetched");
    assert!(home.number("SELECT count(*) FROM messages") > 2_000);
    assert_nowhere(&traces(&home, &outputs), &secrets);

    // What people wrote and who they are is for the store alone.
    let private = home.rows(
        "SELECT substr(body_text, 1, 30) FROM (SELECT body_text FROM messages WHERE length(body_text) > 40 LIMIT 300)
         UNION SELECT email FROM participants WHERE email IS NOT NULL UNION SELECT phone FROM participants WHERE phone IS NOT NULL",
    );
    assert!(private.len() > 50, "{private:?}");
    let logs: Vec<(String, Vec<u8>)> = outputs
        .into_iter()
        .filter(|(name, _)| name.starts_with("stderr"))
        .map(|(name, text)| (name, text.into_bytes()))
        .collect();
    assert_nowhere(&logs, &private);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_listeners_token_stands_in_its_file_alone() {
    const TOKEN: &str = "http-TOKEN-9e07b1c4";
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("token");
    fs::write(&file, format!("{TOKEN}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let home = Home::new(&format!("[http]\nlisten = \"127.0.0.1:0\"\ntoken_file = {file:?}\n"));
    let log = home.folder.path().join("log");
    let mut command = home.command(&["serve", "--log-format", "json"], "trace");
    let mut child = command.stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
    let address = crate::telling::listening(&log).await;
    let asked = |authorization: &str| {
        format!("GET /metrics HTTP/1.1\r\nHost: any.example.test\r\nAuthorization: {authorization}\r\n\r\n")
    };
    let mut told = Vec::new();
    for (authorization, status) in
        [(format!("Bearer {TOKEN}"), 200), (format!("Basic {TOKEN}"), 401), (format!("Bearer {TOKEN}x"), 401)]
    {
        let answer = crate::telling::ask(address, &asked(&authorization)).await;
        assert_eq!(answer.status, status);
        told.push(("an answer".to_owned(), format!("{answer:?}").into_bytes()));
    }
    for of_process in ["cmdline", "environ"] {
        told.push((of_process.to_owned(), fs::read(format!("/proc/{}/{of_process}", child.id())).unwrap()));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    told.push(("the log".to_owned(), fs::read(&log).unwrap()));
    assert_nowhere(&told, &[TOKEN.to_owned()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_from_files_and_the_environment_as_well_and_stay_there() {
    let worlds = demo::worlds(9, NOW_MS);
    let (bd, zaia) = (BdSim::start(worlds.bd).await.unwrap(), ZaiaSim::start(worlds.zaia).await.unwrap());
    let config = format!(
        "{}{}",
        source("bd", "brilliant_directories", &bd.base_url(), "?", "")
            .replace("api_key = \"?\"", "api_key_file = \"bd.secret\""),
        source("zaia", "zaia", &zaia.base_url(), "?", "").replace("api_key = \"?\"", "api_key_env = \"MY_ZAIA_KEY\""),
    );
    let home = Home::new(&config);
    let file = home.folder.path().join("bd.secret");
    fs::write(&file, "bd-key\n").unwrap();
    let refused = home.run(&["sync"]).await;
    assert_eq!(refused.code, 2, "a key that others may read is no secret: {}", refused.stderr);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = home.command(&["sync", "--json"], "trace");
    let output = tokio::task::spawn_blocking(move || output(command.env("MY_ZAIA_KEY", "zaia-key"))).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::remove_file(file).unwrap();
    let outputs = [
        ("stdout".to_owned(), String::from_utf8_lossy(&output.stdout).into_owned()),
        ("stderr".to_owned(), String::from_utf8_lossy(&output.stderr).into_owned()),
    ];
    assert_nowhere(&traces(&home, &outputs), &["bd-key".to_owned(), "zaia-key".to_owned()]);
}
