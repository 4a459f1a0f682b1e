//! What a package brings beside the binary: man pages, completions, configuration and units.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use chatloom::cli::Args;
use clap::CommandFactory as _;

use crate::harness::Home;
use crate::pages;

fn commands() -> Vec<String> {
    pages::commands(&Args::command()).map(|command| command.get_name().to_owned()).collect()
}

#[test]
fn every_command_has_a_man_page_and_a_place_in_every_completion() {
    let folder = tempfile::tempdir().unwrap();
    pages::write(folder.path()).unwrap();
    let read = |path: &str| std::fs::read_to_string(folder.path().join(path)).unwrap();
    let commands = commands();
    assert!(commands.len() >= 10 && commands.contains(&"sync".to_owned()), "{commands:?}");
    let program = read("man/chatloom.1");
    for part in ["/etc/chatloom/chatloom.toml", "EXIT STATUS", "CHATLOOM_CONFIG"] {
        assert!(program.contains(part), "{part}");
    }
    for name in &commands {
        // A hyphen is escaped in a man page.
        assert!(program.contains(&format!("chatloom\\-{name}(1)")), "{name} in the program's page");
        let page = read(&format!("man/chatloom-{name}.1"));
        for part in [format!("chatloom\\-{name}"), "\\-\\-config".to_owned(), "EXIT STATUS".to_owned()] {
            assert!(page.contains(&part), "{part} in the page of {name}");
        }
        for shell in ["chatloom.bash", "_chatloom", "chatloom.fish"] {
            assert!(read(&format!("completions/{shell}")).contains(name.as_str()), "{name} in {shell}");
        }
    }
    assert!(read("completions/chatloom.fish").contains("offline"), "options are completed, too");
}

#[test]
fn the_same_source_makes_the_same_bytes() {
    assert_eq!(pages::man_pages().unwrap(), pages::man_pages().unwrap());
    let of_today = pages::man_pages().unwrap();
    let title = of_today[0].1.split(|byte| *byte == b'\n').find(|line| line.starts_with(b".TH")).unwrap();
    let expected = format!(".TH chatloom 1 \" \" \"chatloom {}\" chatloom", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8_lossy(title), expected, "no date in the title");
}

/// The keys of a unit file and their values, in order.
fn unit(name: &str) -> BTreeMap<String, Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name);
    let mut settings: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        if let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
            settings.entry(key.to_owned()).or_default().push(value.to_owned());
        }
    }
    settings
}

#[test]
fn the_units_share_one_user_and_one_folder() {
    let [daemon, history, backup] =
        ["chatloom.service", "chatloom-backfill@.service", "chatloom-backup.service"].map(unit);
    // What differs by intent: what is run and when, what it costs, and the network.
    for key in ["DynamicUser", "User", "StateDirectory", "StateDirectoryMode", "WorkingDirectory", "UMask", "LimitCORE"]
    {
        assert!(daemon.contains_key(key), "{key}");
        assert_eq!(daemon.get(key), history.get(key), "{key}");
        assert_eq!(daemon.get(key), backup.get(key), "{key}");
    }
    assert_eq!(daemon.get("LoadCredential"), history.get("LoadCredential"));
    assert!(!backup.contains_key("LoadCredential"), "a backup asks nobody");
    assert_eq!(backup["PrivateNetwork"], ["yes"]);
    assert_eq!(daemon["RestartPreventExitStatus"], ["2"], "wrong configuration");
    for (settings, name) in [(&daemon, "daemon"), (&history, "history"), (&backup, "backup")] {
        for key in ["ProtectSystem", "SystemCallFilter", "CapabilityBoundingSet", "NoNewPrivileges", "MemoryMax"] {
            assert!(settings.contains_key(key), "{key} of the {name}");
        }
    }
}

#[test]
fn every_command_that_a_unit_runs_is_one() {
    let commands = commands();
    for name in ["chatloom.service", "chatloom-backfill@.service", "chatloom-backup.service"] {
        let settings = unit(name);
        for line in ["ExecStartPre", "ExecStart"].iter().filter_map(|key| settings.get(*key)).flatten() {
            let words: Vec<&str> = line.split(' ').collect();
            let [program, "--config", "/etc/chatloom/chatloom.toml", command, ..] = words.as_slice() else {
                panic!("{name}: {line}")
            };
            assert!(program.ends_with("/usr/bin/chatloom"), "{name}: {line}");
            assert!(commands.iter().any(|known| known == command), "{name}: {command}");
        }
    }
}

/// The way of a key: a file in `keys/`, handed over flat, named as a path in the configuration.
#[tokio::test]
async fn a_key_of_the_folder_is_found_as_a_file_and_as_a_credential() {
    let home = Home::new("[[sources]]\nname = \"agents\"\nprovider = \"zaia\"\napi_key_file = \"keys/zaia.key\"\n");
    let keys = home.folder.path().join("keys");
    std::fs::create_dir(&keys).unwrap();
    std::fs::write(keys.join("zaia.key"), "k3y\n").unwrap();
    let mode = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(keys.join("zaia.key"), mode(0o600)).unwrap();
    let done = home.run(&["check", "--offline", "--json"]).await;
    assert_eq!(done.code, 0, "{}\n{}", done.stdout, done.stderr);
    assert_eq!(done.json()["offline"], true);

    let handed = tempfile::tempdir().unwrap();
    std::fs::rename(keys.join("zaia.key"), handed.path().join("keys_zaia.key")).unwrap();
    std::fs::set_permissions(handed.path().join("keys_zaia.key"), mode(0o440)).unwrap();
    let mut command = home.command(&["check", "--offline"], "chatloom=info");
    command.env("CREDENTIALS_DIRECTORY", handed.path());
    let done = crate::harness::run(command).await;
    assert_eq!(done.code, 0, "{}\n{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("no provider was asked"), "{}", done.stdout);

    // Wrong configuration is told by its own exit status: the unit must not restart for it.
    let done = home.run(&["check", "--offline"]).await;
    assert_eq!(done.code, 2, "{}\n{}", done.stdout, done.stderr);
}

#[test]
fn the_packaged_configuration_puts_the_store_where_the_units_may_write() {
    let text = pages::configuration().unwrap();
    let settings: Vec<&str> = text.lines().filter(|line| !line.starts_with('#') && line.contains('=')).collect();
    assert_eq!(settings, ["path = \"/var/lib/chatloom/chatloom.db\""], "nothing else is set");
    assert_eq!(unit("chatloom.service")["StateDirectory"], ["chatloom"]);
}
