//! Configurations that are refused, and what is said about them.

use super::*;

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
        ("[log]\nformat = \"xml\"", &[("log.format", "\"text\", \"json\"")]),
        ("[log]\nlevel = \"INFO\"", &[("log.level", "\"error\", \"warn\", \"info\"")]),
        ("[log]\nlevels = \"info\"", &[("log.levels", "did you mean `level`?")]),
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
