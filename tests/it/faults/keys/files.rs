//! Keys in files, and the files that are made.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use chatloom::sim::bd::BdData;
use chatloom::sim::{BdSim, ZaiaSim, demo};

use super::super::play;
use super::super::proxy::Proxy;
use super::has_messages;
use crate::daemon::{SOON, until};
use crate::failures::{Everybody, assert_says};
use crate::harness::{Home, NOW_MS, run, source};

fn put(path: &Path, content: &[u8], mode: u32) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn k11_a_key_file_is_not_as_it_should_be() {
    play("K11", async {
        let all = Everybody::start().await;
        let config = source("bd", "brilliant_directories", &all.bd.base_url(), "?", "")
            .replace("api_key = \"?\"", "api_key_file = \"bd.secret\"");
        let large = vec![b'k'; 1024 * 1024];
        let refused: [(&[u8], u32, &str); 9] = [
            (b"bd-key\n", 0o644, "chmod 600"),
            (b"bd-key\n", 0o640, "chmod 600"),
            (b"bd-key\n", 0o602, "chmod 600"),
            (b"", 0o600, "empty"),
            (b"\r\n", 0o600, "empty"),
            (b"bd-key\nand more\n", 0o600, "line breaks inside"),
            (b"\x7fELF\x02\x01\x00", 0o600, "control characters"),
            (b"\xff\xfe\x00\x9f", 0o600, "not text"),
            (&large, 0o600, "64 KiB"),
        ];
        for (content, mode, words) in refused {
            let home = Home::new(&config);
            put(&home.folder.path().join("bd.secret"), content, mode);
            let done = home.run(&["sync"]).await;
            assert_eq!(done.code, 2, "{mode:o} {words}: {}", done.stderr);
            assert_says(&done.stderr, &["bd.secret", words]);
            fs::remove_file(home.folder.path().join("bd.secret")).unwrap();
        }
        let home = Home::new(&config);
        let file = home.folder.path().join("bd.secret");
        let behind = home.folder.path().join("behind");
        put(&behind, b"bd-key", 0o600);
        std::os::unix::fs::symlink(&behind, &file).unwrap();
        let done = home.run(&["sync"]).await;
        assert_eq!(done.code, 2, "{}", done.stderr);
        assert_says(&done.stderr, &["symbolic link", "name the file itself"]);
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert_says(&home.run(&["sync"]).await.stderr, &["not a regular file"]);
        fs::remove_dir(&file).unwrap();
        assert_eq!(all.bd.world().requests(), 0);

        // A key in the configuration is as safe as that file, which is the operator's: `check` says so.
        let inline = Home::new(&crate::harness::bd_source("bd", &all.bd));
        assert!(!inline.run(&["check", "--offline"]).await.stdout.contains("open to group"));
        let config = inline.folder.path().join("chatloom.toml");
        fs::set_permissions(&config, fs::Permissions::from_mode(0o644)).unwrap();
        let told = inline.run(&["check", "--offline"]).await;
        assert_eq!(told.code, 0, "{}", told.stdout);
        assert_says(&told.stdout, &["warn", "api_key", "mode 644"]);

        for content in ["bd-key", "bd-key\n", "bd-key\r\n", "bd-key\n\n"] {
            put(&file, content.as_bytes(), 0o400);
            assert_eq!(home.run(&["sync"]).await.code, 0, "{content:?}");
            fs::remove_file(&file).unwrap();
        }
    })
    .await;
}

/// Every file and folder below one, with what others may do to it.
fn open_to_others(folder: &Path, seen: &mut Vec<String>) -> Vec<String> {
    let mut open = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let (path, Ok(metadata)) = (entry.path(), entry.metadata()) else { continue };
        seen.push(path.file_name().unwrap().to_string_lossy().into_owned());
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            open.push(format!("{} {mode:o}", path.display()));
        }
        if metadata.is_dir() {
            open.extend(open_to_others(&path, seen));
        }
    }
    open
}

/// A command that would give every file it makes to everybody.
fn careless(home: &Home, args: &[&str]) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask 000; exec \"$0\" \"$@\""]).arg(assert_cmd::cargo::cargo_bin!("chatloom")).args(args);
    shell.current_dir(home.folder.path()).env_clear().env("CHATLOOM_LOG", "chatloom=info");
    shell
}

#[tokio::test(flavor = "multi_thread")]
async fn k13_the_umask_gives_everything_away() {
    play("K13", async {
        let all = Everybody::start().await;
        let home = Home::new(&format!("{}poll = \"1s\"\n", crate::harness::bd_source("bd", &all.bd)));
        let mut daemon = careless(&home, &["run"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        until("a first page", SOON, || has_messages(&home));
        for args in [&["backup"][..], &["--config", "made.toml", "init"], &["demo", "--path", "shown.db"]] {
            let done = run(careless(&home, args)).await;
            assert_eq!(done.code, 0, "{args:?}: {}", done.stderr);
        }
        let mut seen = Vec::new();
        assert_eq!(open_to_others(home.folder.path(), &mut seen), Vec::<String>::new());
        for made in ["chatloom.db", "chatloom.db-wal", "chatloom.db-shm", "made.toml", "backups", "shown.db"] {
            assert!(seen.iter().any(|name| name == made), "{made} is missing in {seen:?}");
        }
        assert!(seen.iter().any(|name| name.contains("lock")), "{seen:?}");
        daemon.kill().unwrap();
        daemon.wait().unwrap();
        // What a killed process left is not given away either by the next one.
        let done = run(careless(&home, &["sync"])).await;
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert_eq!(open_to_others(home.folder.path(), &mut seen), Vec::<String>::new());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn k14_each_key_goes_to_its_own_origin() {
    play("K14", async {
        const KEYS: [&str; 3] = ["first-KEY-11aa22bb", "second-KEY-33cc44dd", "third-KEY-55ee66ff"];
        let directory = |key: &str| {
            let mut data: BdData = demo::worlds(4, NOW_MS).bd;
            key.clone_into(&mut data.key);
            data
        };
        let (first, second) = (directory(KEYS[0]), directory(KEYS[1]));
        let mut third = demo::worlds(4, NOW_MS).zaia;
        KEYS[2].clone_into(&mut third.key);
        let (first, second) = (BdSim::start(first).await.unwrap(), BdSim::start(second).await.unwrap());
        let third = ZaiaSim::start(third).await.unwrap();
        let proxies =
            [Proxy::before(first.addr()).await, Proxy::before(second.addr()).await, Proxy::before(third.addr()).await];
        let home = Home::new(
            &[
                source("one", "brilliant_directories", &proxies[0].base_url(), KEYS[0], ""),
                source("two", "brilliant_directories", &proxies[1].base_url(), KEYS[1], ""),
                source("three", "zaia", &proxies[2].base_url(), KEYS[2], ""),
            ]
            .concat(),
        );
        home.sync().await;
        home.sync_with(&["--full"]).await;
        for (proxy, own) in proxies.iter().zip(KEYS) {
            let seen = proxy.seen();
            assert!(!seen.is_empty());
            for request in seen {
                let told = format!("{request:?}");
                assert!(told.contains(own), "{told}");
                for other in KEYS.iter().filter(|key| **key != own) {
                    assert!(!told.contains(other), "{told}");
                }
                assert!(!request.target.contains(own) && !told.contains("referer"), "{told}");
            }
        }
    })
    .await;
}
