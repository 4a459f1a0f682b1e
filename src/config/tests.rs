//! Stories of whole configurations. Single values are tested beside the code that reads them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::ExposeSecret;

use super::load::parse;
use super::*;

const KEY: &str = "k3y-that-nobody-may-see";

fn env() -> Env {
    Env::from_pairs([("BD_API_KEY", KEY), ("SITEGPT_API_KEY", KEY)])
}

fn read(text: &str) -> Result<Config, Problems> {
    read_with(text, &env())
}

fn read_with(text: &str, env: &Env) -> Result<Config, Problems> {
    parse(text, Path::new("/etc/chatloom/chatloom.toml"), env, Path::new("/here"))
}

/// A source that is in order, with more lines.
fn zaia(lines: &str) -> String {
    format!("[[sources]]\nname = \"agents\"\nprovider = \"zaia\"\napi_key = \"{KEY}\"\n{lines}\n")
}

fn bd(lines: &str) -> String {
    format!(
        "[[sources]]\nname = \"directory\"\nprovider = \"brilliant_directories\"\n\
         base_url = \"https://www.example.test\"\napi_key = \"{KEY}\"\n{lines}\n"
    )
}

fn sitegpt(lines: &str) -> String {
    format!("[[sources]]\nname = \"bots\"\nprovider = \"sitegpt\"\napi_key_env = \"SITEGPT_API_KEY\"\n{lines}\n")
}

/// Asserts the whole list of problems: where each is, and words that its message or suggestion must hold.
#[track_caller]
fn refused(text: &str, expected: &[(&str, &str)]) {
    refused_with(text, &env(), expected);
}

#[track_caller]
fn refused_with(text: &str, env: &Env, expected: &[(&str, &str)]) {
    let problems = read_with(text, env).expect_err(text);
    let told = problems.to_string();
    let places: Vec<&str> = problems
        .as_slice()
        .iter()
        .map(|problem| if problem.key.is_empty() { problem.variable.as_deref().unwrap_or("") } else { &problem.key })
        .collect();
    let wanted: Vec<&str> = expected.iter().map(|(place, _)| *place).collect();
    assert_eq!(places, wanted, "{text}\n{told}");
    for (problem, (_, words)) in problems.as_slice().iter().zip(expected) {
        assert!(problem.to_string().contains(words), "wanted {words:?} in:\n{problem}");
    }
    assert!(!format!("{told}{problems:?}").contains(KEY), "{told}");
}

#[test]
fn an_empty_file_means_the_defaults() {
    let config = read("").unwrap();
    assert_eq!(config.file, Some(PathBuf::from("/etc/chatloom/chatloom.toml")));
    assert_eq!(config.store_path, PathBuf::from("/etc/chatloom/chatloom.db"));
    assert_eq!(config.reporting.timezone, "UTC");
    assert!(config.http.is_none() && config.sources.is_empty());
}

#[test]
fn the_template_is_a_configuration() {
    let config = read(DEFAULT_TOML).unwrap();
    assert!(config.http.is_none() && config.sources.is_empty());
}

#[test]
fn the_template_with_all_its_settings_in_use_is_one_too() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["zaia.key", "http-token"] {
        std::fs::write(folder.path().join(name), format!("{KEY}\n")).unwrap();
    }
    let env = Env::from_pairs([
        ("BD_API_KEY", KEY.into()),
        ("SITEGPT_API_KEY", KEY.into()),
        ("CREDENTIALS_DIRECTORY", folder.path().as_os_str().to_owned()),
    ]);
    let used: Vec<&str> = DEFAULT_TOML
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.is_empty() && !setting.starts_with(' ') => setting,
            _ => line,
        })
        .collect();
    let config = read_with(&used.join("\n"), &env).unwrap_or_else(|problems| panic!("{problems}"));

    assert_eq!(config.sources.len(), 3);
    assert!(config.http.unwrap().token.is_some());
    assert_eq!(config.reporting.timezone, "Europe/London");
    // What the template gives as defaults are the defaults.
    let bare = format!(
        "{}{}{}",
        bd("timezone = \"America/New_York\""),
        zaia("sweep = \"15 3 * * *\""),
        sitegpt("chatbots = [\"361628903185318481\"]").replace("https://www.example.test", "https://www.example.com")
    );
    let bare = read(&bare).unwrap();
    for (written, bare) in config.sources.iter().zip(&bare.sources) {
        assert_eq!(written.settings, bare.settings);
        assert_eq!((&written.poll, &written.sweep, written.timeout), (&bare.poll, &bare.sweep, bare.timeout));
        assert_eq!(
            (written.enabled, written.requests_per_minute, written.concurrency, written.lookback),
            (bare.enabled, bare.requests_per_minute, bare.concurrency, bare.lookback)
        );
    }
}

#[test]
fn every_known_key_is_in_the_template() {
    for key in keys::TABLES.iter().flat_map(|(_, keys)| keys.iter()).chain(keys::SOURCE) {
        let told = DEFAULT_TOML.lines().any(|line| {
            let line = line.trim_start_matches(['#', ' ']);
            line.starts_with(&format!("{} ", key.name))
        });
        assert!(told, "{} is missing in config/default.toml", key.name);
    }
}

#[test]
fn every_provider_gets_its_defaults() {
    let config = read(&(bd("") + &zaia("") + &sitegpt(""))).unwrap();
    let [directory, agents, bots] = config.sources.as_slice() else { panic!("three sources") };

    assert_eq!(directory.settings, ProviderSettings::BrilliantDirectories { timezone: None });
    assert_eq!((directory.requests_per_minute, directory.concurrency), (100, 2));
    assert_eq!(directory.lookback_ms(), 7_200_000);

    assert_eq!(agents.settings, ProviderSettings::Zaia { auth_prefix: String::new(), pagination: Pagination::Auto });
    assert_eq!(agents.base_url.as_str(), "https://api.endless.zaia.app/");
    assert_eq!((agents.requests_per_minute, agents.concurrency, agents.lookback_ms()), (60, 2, 3_600_000));
    assert_eq!((agents.key_origin.clone(), agents.api_key.expose_secret()), (KeyOrigin::Inline, KEY));

    assert_eq!(bots.settings, ProviderSettings::Sitegpt { api: SitegptApi::V0, chatbots: Vec::new() });
    assert_eq!(bots.base_url.as_str(), "https://sitegpt.ai/");
    assert_eq!((bots.requests_per_minute, bots.concurrency, bots.lookback_ms()), (100, 4, 0));
    assert_eq!(bots.key_origin, KeyOrigin::Env("SITEGPT_API_KEY".to_owned()));

    for source in &config.sources {
        assert!(source.enabled);
        assert_eq!(source.poll, Schedule::Every(Duration::from_secs(300)));
        assert_eq!(source.sweep, Schedule::Every(Duration::from_secs(86_400)));
        assert_eq!(source.timeout, Duration::from_secs(60));
    }
}

#[test]
fn written_settings_win_over_defaults() {
    let text = zaia(
        "base_url = \"http://127.0.0.1:9000/zaia/\"\npoll = \"30s\"\nsweep = \"15 3 * * *\"\nconcurrency = 64\n\
         requests_per_minute = 9999999999\ntimeout = \"5s\"\nlookback = \"0s\"\nauth_prefix = \"Bearer\"\n\
         pagination = \"json\"",
    );
    let config = read(&text).unwrap();
    let source = config.sources.first().unwrap();
    assert_eq!(source.base_url.as_str(), "http://127.0.0.1:9000/zaia");
    assert_eq!(source.poll, Schedule::Every(Duration::from_secs(30)));
    assert_eq!(source.sweep, Schedule::Cron("15 3 * * *".to_owned()));
    assert_eq!((source.concurrency, source.requests_per_minute), (64, u32::MAX));
    assert_eq!((source.timeout, source.lookback), (Duration::from_secs(5), Duration::ZERO));
    assert_eq!(
        source.settings,
        ProviderSettings::Zaia { auth_prefix: "Bearer ".to_owned(), pagination: Pagination::Json }
    );
    let zone = read(&bd("timezone = \"america/new_york\"")).unwrap();
    assert_eq!(
        zone.sources.first().unwrap().settings,
        ProviderSettings::BrilliantDirectories { timezone: Some("America/New_York".to_owned()) }
    );
}

#[test]
fn bad_files_and_what_is_said_about_them() {
    for (text, expected) in [
        ("[stor]\npath = 1", [("stor", "did you mean [store]?")].as_slice()),
        ("stora = 1", &[("stora", "[store]")]),
        ("path = \"x\"", &[("path", "`path` belongs below [store]")]),
        ("poll = \"5m\"", &[("poll", "belongs below [[sources]]")]),
        ("\"store.path\" = \"x\"", &[("store.path", "unknown key \"store.path\"")]),
        ("\"sources[99999999999]\" = 1", &[("sources[99999999999]", "unknown key")]),
        ("\"\\u001b[31m\" = 1", &[("\\u{1b}[31m", "unknown key")]),
        ("store = \"x\"", &[("store", "[store]")]),
        ("http = true", &[("http", "must be a table")]),
        ("sources = 1", &[("sources", "[[sources]]")]),
        ("[sources]\nname = \"x\"", &[("sources", "[[sources]]")]),
        ("sources = [1]", &[("sources[0]", "[[sources]]")]),
        ("[store]\npath = 1", &[("store.path", "must be text")]),
        ("[store]\npath = \"\"", &[("store.path", "path of a file")]),
        ("[store]\npath = \"~/chat.db\"", &[("store.path", "not expanded")]),
        ("[store]\npath = \":memory:\"", &[("store.path", "not the path")]),
        ("[store]\npath = \"file:x?mode=memory\"", &[("store.path", "not the path")]),
        ("[store]\npath = \"data/\"", &[("store.path", "\"data/chatloom.db\"")]),
        ("[store]\nlisten = \"x\"", &[("store.listen", "belongs below [http]")]),
        ("[reporting]\ntimezone = \"Europe/Lundon\"", &[("reporting.timezone", "did you mean \"Europe/London\"?")]),
        ("[reporting]\ntimezone = \"Etc/Unknown\"", &[("reporting.timezone", "not a known time zone")]),
        ("[reporting]\ntimezone = \"\"", &[("reporting.timezone", "IANA")]),
        ("[http]\nlisten = \"8787\"", &[("http.listen", "address and port")]),
        ("[http]\nlisten = \"example.test:80\"", &[("http.listen", "address and port")]),
        ("[http]\nlisten = \"0.0.0.0:80\"", &[("http.token_file", "is missing")]),
        ("[http]\nlisten = \"[::]:80\"\ntoken_file = 1", &[("http.token_file", "must be text")]),
        ("[http]\ntoken_file = \"gone\"", &[("http.token_file", "there is no file /etc/chatloom/gone")]),
    ] {
        refused(text, expected);
    }
}

#[test]
fn bad_sources_and_what_is_said_about_them() {
    let at = "sources[0]";
    let place = |key: &str| format!("{at}.{key}");
    for (text, key, words) in [
        (zaia("pol = \"5m\""), "pol", "did you mean `poll`?"),
        (zaia("frequency = \"5m\""), "frequency", "the nearest known key is `"),
        (zaia("listen = 1"), "listen", "belongs below [http]"),
        (zaia("timezone = \"UTC\""), "timezone", "`timezone` is only for brilliant_directories"),
        (bd("pagination = \"auto\""), "pagination", "`pagination` is only for zaia"),
        (bd("auth_prefix = \"x\""), "auth_prefix", "only for zaia"),
        (bd("api = \"v0\""), "api", "only for sitegpt"),
        (zaia("chatbots = [\"1\"]"), "chatbots", "only for sitegpt"),
        (bd("timezone = \"New York\""), "timezone", "not a known time zone"),
        (zaia("pagination = \"bracket\""), "pagination", "did you mean \"brackets\"?"),
        (zaia("auth_prefix = \"Bea\\nrer\""), "auth_prefix", "printable"),
        (sitegpt("api = \"v1\""), "api", "\"v0\", \"v2\""),
        (sitegpt("chatbots = [361]"), "chatbots", "list of texts"),
        (sitegpt("chatbots = \"361\""), "chatbots", "list of texts"),
        (sitegpt("chatbots = []"), "chatbots", "leave `chatbots` out"),
        (sitegpt("chatbots = [\"1\", \"1\"]"), "chatbots", "twice"),
        (sitegpt("chatbots = [\"a/b\"]"), "chatbots", "not the id"),
        (zaia("enabled = \"yes\""), "enabled", "true or false"),
        (zaia("poll = 30"), "poll", "poll = \"30s\""),
        (zaia("poll = \"30\""), "poll", "\"30s\""),
        (zaia("poll = \"0s\""), "poll", "at least 1 s"),
        (zaia("sweep = \"1 2 3\""), "sweep", "it has 3 fields"),
        (zaia("timeout = \"0s\""), "timeout", "at least 1 s"),
        (zaia("timeout = \"2h\""), "timeout", "at most 1 hour"),
        (zaia("lookback = \"-1h\""), "lookback", "not a time"),
        (zaia("requests_per_minute = 0"), "requests_per_minute", "at least 1"),
        (zaia("requests_per_minute = \"60\""), "requests_per_minute", "without quotes: requests_per_minute = 60"),
        (zaia("requests_per_minute = 1.5"), "requests_per_minute", "whole number"),
        (zaia("concurrency = 0"), "concurrency", "from 1 to 64"),
        (zaia("concurrency = 65"), "concurrency", "from 1 to 64"),
        (zaia("api_key_env = \"ZAIA_KEY\""), "api_key_env", "only one of api_key, api_key_env"),
        (zaia("base_url = \"https://api.endless.zaia.app/api/v1\""), "base_url", "leave it out"),
        (zaia("base_url = \"http://api.example.test\""), "base_url", "https://"),
        (zaia("").replace("zaia\"", "zaya\""), "provider", "did you mean \"zaia\"?"),
        (zaia("").replace("zaia\"", "intercom\""), "provider", "one of: brilliant_directories, zaia, sitegpt"),
        (zaia("").replace("agents", "My Agents"), "name", "\"my-agents\""),
        (zaia("").replace("agents", ""), "name", "small letters"),
        (zaia("").replace("name = \"agents\"", "name = 7"), "name", "quotes"),
        (zaia("").replace("name = \"agents\"", ""), "name", "is missing"),
        (zaia("").replace("provider = \"zaia\"", ""), "provider", "is missing"),
        (zaia("").replace(&format!("\"{KEY}\""), "12345"), "api_key", "must be text"),
        (zaia("").replace(KEY, &format!("Bearer {KEY}")), "api_key", "spaces"),
        (zaia("").replace(KEY, ""), "api_key", "empty"),
        (zaia("").replace(&format!("api_key = \"{KEY}\""), ""), "api_key", "exactly one"),
        (bd("").replace("base_url = \"https://www.example.test\"", ""), "base_url", "is missing"),
        (bd("").replace("\"https://www.example.test\"", "7"), "base_url", "must be text"),
        (sitegpt("").replace("SITEGPT_API_KEY", "UNSET_KEY"), "api_key_env", "UNSET_KEY"),
    ] {
        refused(&text, &[(&place(key), words)]);
    }
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_the_file() {
    let text = format!(
        "colour = \"blue\"\n[store]\npth = \"x\"\n[http]\nlisten = \"0.0.0.0:80\"\n[reporting]\ntimezone = \"Mars\"\n\
         {}{}[[sources]]\n",
        bd("poll = 5\nconcurrency = 100\nchatbots = []"),
        bd("requests_per_minute = -1\napi_key_file = \"x\""),
    );
    refused(
        &text,
        &[
            ("colour", "unknown key"),
            ("store.pth", "did you mean `path`?"),
            ("http.token_file", "is missing"),
            ("reporting.timezone", "Mars"),
            ("sources[0].chatbots", "only for sitegpt"),
            ("sources[0].poll", "(source \"directory\")"),
            ("sources[0].concurrency", "64"),
            ("sources[1].name", "already the name of sources[0]"),
            ("sources[1].api_key_file", "only one of"),
            ("sources[1].requests_per_minute", "at least 1"),
            ("sources[2].name", "is missing"),
            ("sources[2].provider", "is missing"),
            ("sources[2].api_key", "is missing"),
        ],
    );
}

#[test]
fn a_problem_reads_as_a_block() {
    let told = read(&(zaia("") + &sitegpt("").replace("SITEGPT_API_KEY", "UNSET"))).unwrap_err().to_string();
    assert_eq!(
        told,
        "/etc/chatloom/chatloom.toml: sources[1].api_key_env (source \"bots\")\n  \
         the environment variable UNSET is not set, or empty\n  \
         help: set it, or use api_key_file"
    );
}

#[test]
fn a_disabled_source_needs_no_key() {
    for key in ["", "api_key_env = \"UNSET\"", "api_key_file = \"gone.key\""] {
        let text = zaia("enabled = false").replace(&format!("api_key = \"{KEY}\""), key);
        let config = read(&text).unwrap();
        let source = config.sources.first().unwrap();
        assert!(!source.enabled);
        assert_eq!((source.key_origin.clone(), source.api_key.expose_secret()), (KeyOrigin::Unread, ""));
    }
}

#[test]
fn variables_win_over_the_file() {
    let env = Env::from_pairs([
        ("CHATLOOM__STORE__PATH", "other.db"),
        ("CHATLOOM__HTTP__LISTEN", "localhost:0"),
        ("CHATLOOM__REPORTING__TIMEZONE", "Asia/Tokyo"),
        ("CHATLOOM__SOURCES__0__CONCURRENCY", "7"),
        ("CHATLOOM__SOURCES__0__ENABLED", "true"),
        ("CHATLOOM__SOURCES__0__API_KEY", KEY),
        ("CHATLOOM__SOURCES__1__CHATBOTS", "1, 2"),
        ("CHATLOOM_CONFIG", "elsewhere.toml"),
        ("CHATLOOM_LOG", "debug"),
        ("SITEGPT_API_KEY", KEY),
    ]);
    let text = "[store]\npath = \"file.db\"\n".to_owned() + &zaia("concurrency = 1\nenabled = false") + &sitegpt("");
    let config = read_with(&text.replace(&format!("api_key = \"{KEY}\""), ""), &env).unwrap();
    assert_eq!(config.store_path, PathBuf::from("/here/other.db"));
    assert_eq!(config.http.unwrap().listen.to_string(), "127.0.0.1:0");
    assert_eq!(config.reporting.timezone, "Asia/Tokyo");
    let [agents, bots] = config.sources.as_slice() else { panic!("two sources") };
    assert_eq!((agents.concurrency, agents.enabled, agents.name.as_str()), (7, true, "agents"));
    assert!(matches!(&bots.settings, ProviderSettings::Sitegpt { chatbots, .. } if chatbots == &["1", "2"]));
}

#[test]
fn variables_are_checked_like_the_file() {
    let env = Env::from_pairs([
        ("CHATLOOM__STOR__PATH", "x"),
        ("CHATLOOM__", "x"),
        ("CHATLOOM__HTTP", "x"),
        ("CHATLOOM__HTTP__LISTEN", "nowhere"),
        ("CHATLOOM__SOURCES__0__CONCURRENCY", "many"),
        ("CHATLOOM__SOURCES__0__TIMEOUT", ""),
        ("CHATLOOM__SOURCES__0__PAGINATON", "x"),
        ("CHATLOOM__SOURCES__9__POLL", "5m"),
        ("CHATLOOM__SOURCES__0__API_KEY_FILE", KEY),
    ]);
    refused_with(
        &zaia(""),
        &env,
        &[
            ("CHATLOOM__", "no known key"),
            ("CHATLOOM__HTTP", "no known key"),
            ("CHATLOOM__SOURCES__0__CONCURRENCY", "whole number"),
            ("CHATLOOM__SOURCES__0__PAGINATON", "did you mean `pagination`?"),
            ("CHATLOOM__SOURCES__9__POLL", "no source at position"),
            ("CHATLOOM__STOR__PATH", "did you mean CHATLOOM__STORE__PATH?"),
            ("http.listen", "environment variable CHATLOOM__HTTP__LISTEN"),
            ("sources[0].api_key_file", "only one of"),
            ("sources[0].timeout", "environment variable CHATLOOM__SOURCES__0__TIMEOUT"),
        ],
    );
}

#[test]
fn keys_are_never_shown() {
    let config = read(&(zaia("") + &sitegpt(""))).unwrap();
    let told = format!("{config:?} {config:#?}");
    assert!(!told.contains(KEY), "{told}");
}

#[test]
fn the_shapes_and_the_table_of_keys_agree() {
    for key in keys::SOURCE {
        let provider = key.only.map_or("zaia", crate::model::ProviderKind::as_str);
        let value = match key.kind {
            keys::Kind::Text | keys::Kind::Secret | keys::Kind::Time => "\"x\"",
            keys::Kind::Flag => "true",
            keys::Kind::Number => "1",
            keys::Kind::Texts => "[\"x\"]",
        };
        let line = if key.name == "provider" { String::new() } else { format!("{} = {value}", key.name) };
        let text = format!("[[sources]]\nprovider = \"{provider}\"\n{line}\n");
        // Whatever is said about the value, a key that the shapes do not have would end in this message.
        let told = read(&text).unwrap_err().to_string();
        assert!(!told.contains("fit together"), "{}: {told}", key.name);
    }
}

/// Text that gets further than random characters do.
fn almost_a_configuration() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;
    let key = proptest::sample::select(
        keys::SOURCE.iter().map(|key| key.name).chain(["path", "listen", "token_file", "x"]).collect::<Vec<_>>(),
    );
    let value = prop_oneof![
        "\"[ -!#-\\[\\]-~]{0,12}\"",
        "-?[0-9]{1,20}",
        Just("true".to_owned()),
        Just("[1, \"a\"]".to_owned()),
        Just("{ a = 1 }".to_owned()),
        Just("\"zaia\"".to_owned()),
        Just("\"sitegpt\"".to_owned()),
    ];
    let heading = prop_oneof![
        Just("[store]".to_owned()),
        Just("[http]".to_owned()),
        Just("[[sources]]".to_owned()),
        Just("[reporting]".to_owned())
    ];
    let line = prop_oneof![3 => (key, value).prop_map(|(key, value)| format!("{key} = {value}")), 1 => heading];
    proptest::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
        drop(read(&text));
    }

    #[test]
    fn any_lines_are_read_or_refused(text in almost_a_configuration()) {
        if let Err(problems) = read(&text) {
            let told = problems.to_string();
            proptest::prop_assert!(!told.is_empty() && !told.contains("fit together"), "{}", told);
        }
    }

    #[test]
    fn any_variables_are_read_or_refused(name in "[A-Z0-9_\\[\\].-]{0,30}", value in "[^\\x00]{0,20}") {
        drop(read_with(&zaia(""), &Env::from_pairs([(format!("CHATLOOM__{name}"), value)])));
    }
}
