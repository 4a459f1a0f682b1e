//! Configurations that are in order, and what they mean.

use super::*;

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
