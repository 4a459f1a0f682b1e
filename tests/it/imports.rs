//! The import rule of `src/lib.rs`, read from the source text: a module knows only what lies below it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What each module of ours may name. `sim` stands aside: `cli` may start it, nobody else knows it.
/// `fuzzing` lets tests at every parser; nothing of the program calls it.
const MAY_NAME: &[(&str, &[&str])] = &[
    (
        "fuzzing",
        &["app", "cli", "config", "http", "model", "normalise", "provider", "search", "sync", "telemetry", "web"],
    ),
    ("cli", &["app", "config", "export", "page", "provider", "search", "sim", "store", "sync", "telemetry", "web"]),
    ("sim", &["model"]),
    ("app", &["config", "http", "model", "normalise", "provider", "store", "sync", "telemetry", "web"]),
    ("web", &["model", "page", "search", "store", "telemetry"]),
    ("search", &["normalise", "store"]),
    ("export", &["page", "store", "telemetry"]),
    ("page", &["store", "telemetry"]),
    ("sync", &["http", "model", "normalise", "provider", "store", "telemetry"]),
    ("provider", &["http", "model", "normalise"]),
    ("store", &["model", "normalise", "telemetry"]),
    ("config", &["model"]),
    ("http", &["normalise", "model", "telemetry"]),
    ("normalise", &["model"]),
    ("model", &[]),
    ("telemetry", &[]),
];

/// Crates that have one user.
const ONE_USER: &[(&str, &str)] = &[
    ("reqwest", "http"),
    ("rusqlite", "store"),
    ("backoff", "http"),
    ("indicatif", "cli"),
    ("clap", "cli"),
    ("tokio_cron_scheduler", "app"),
    ("croner", "app"),
    ("chrono", "app"),
    ("sd_notify", "app"),
    ("prometheus_client", "telemetry"),
    ("hyper", "web"),
    ("rustix", "cli"),
    ("parquet", "export"),
];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Source text without comments: a module may speak of another in its documentation. Strings keep their place.
fn code_of(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = |line: &str| line.split_once("//").map_or(line, |(code, _)| code).to_owned();
    text.lines()
        .map(|line| if line.contains("://") { line.to_owned() } else { code(line) })
        .collect::<Vec<_>>()
        .join("\n")
}

/// Which file is only compiled for tests. Unit tests may borrow what the code itself may not.
fn is_test_file(path: &Path) -> bool {
    let name = path.file_stem().unwrap().to_string_lossy();
    let in_tests = path.components().any(|part| part.as_os_str() == "tests");
    in_tests || name == "tests" || name == "testing" || name == "probe" || name.ends_with("_tests")
}

fn without_unit_tests(code: &str) -> &str {
    code.split_once("#[cfg(test)]\nmod tests {").map_or(code, |(code, _)| code)
}

/// The first path segment of every `crate::…` path, groups such as `crate::{a, b::c}` included.
fn named(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, start) in code.match_indices("crate::") {
        let rest = &code.get(at + start.len()..).unwrap();
        let word = |text: &str| text.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let Some(group) = rest.strip_prefix('{') else {
            names.insert(word(rest));
            continue;
        };
        let (mut depth, mut piece) = (0, String::new());
        for c in group.chars() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    names.insert(word(&piece));
                    piece.clear();
                    continue;
                }
                _ => {}
            }
            piece.push(c);
        }
        names.insert(word(&piece));
    }
    names.remove("");
    names
}

/// The module that a file belongs to, and its code.
fn sources() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&root, &mut found);
    found
        .into_iter()
        .filter(|path| !is_test_file(path))
        .map(|path| {
            let inside = path.strip_prefix(&root).unwrap();
            let module = inside.components().next().unwrap().as_os_str().to_string_lossy();
            let code = without_unit_tests(&code_of(&path)).to_owned();
            (module.trim_end_matches(".rs").to_owned(), path, code)
        })
        .collect()
}

#[test]
fn imports_point_down_only() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_NAME.iter().copied().collect();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for (module, path, code) in sources() {
        if matches!(module.as_str(), "lib" | "main") {
            continue;
        }
        let below = allowed.get(module.as_str()).unwrap_or_else(|| panic!("{module}: say what it may name"));
        for name in named(&code) {
            // A name in capitals is an item of the crate's root; there are none, so every name is a module.
            seen.insert(name.clone());
            if name != module && !below.contains(&name.as_str()) {
                wrong.push(format!("{}: {module} names {name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen.contains("model") && seen.contains("http"), "the reading itself works: {seen:?}");
}

#[test]
fn the_rule_itself_points_down() {
    // `sim` is named by `cli` alone.
    assert!(MAY_NAME.iter().all(|(module, below)| *module == "cli" || !below.contains(&"sim")));
    // Down the list, every module names only what stands further down, or aside.
    for (at, (module, below)) in MAY_NAME.iter().enumerate() {
        for name in *below {
            let place = MAY_NAME.iter().position(|(other, _)| other == name).unwrap();
            assert!(place > at, "{module} names {name}, which stands above it");
        }
    }
}

#[test]
fn some_crates_and_the_environment_have_one_user() {
    let mut wrong = Vec::new();
    for (module, path, code) in sources() {
        for (name, user) in ONE_USER {
            if module != *user && (code.contains(&format!("{name}::")) || code.contains(&format!("use {name}"))) {
                wrong.push(format!("{}: {module} uses {name}", path.display()));
            }
        }
        let environment = ["env::var", "env::vars", "env::remove_var", "env::set_var"];
        if module != "config" && environment.iter().any(|call| code.contains(call)) {
            wrong.push(format!("{}: {module} reads the environment", path.display()));
        }
        // The crate `config` and our module share a name; outside it, the crate is reached by a leading `::` alone.
        if module != "config" && code.contains("::config::Config::builder") {
            wrong.push(format!("{}: {module} uses the crate config", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn providers_are_chosen_in_one_place() {
    let users: Vec<String> = sources()
        .into_iter()
        .filter(|(module, _, code)| {
            module != "provider"
                && ["brilliant_directories::", "zaia::", "sitegpt::"].iter().any(|name| code.contains(name))
                && module != "sim"
                && module != "cli"
                && module != "fuzzing"
        })
        .map(|(_, path, _)| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(users, ["build.rs"], "a fourth provider is one folder and one match arm");
}

#[test]
fn the_reading_sees_through_groups_and_comments() {
    let code = "use crate::{a::b, c::{d, e}, f};\nlet x = crate::g::h();\npub(crate) fn i() {}";
    assert_eq!(named(code), ["a", "c", "f", "g"].map(str::to_owned).into());
    assert!(named(without_unit_tests("fn a() {}\n#[cfg(test)]\nmod tests {\n use crate::b;\n}")).is_empty());
}
