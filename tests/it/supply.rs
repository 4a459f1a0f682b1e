//! What the program is made of, without asking anybody: the lock file against known weaknesses, licences and sources, the
//! SQLite that is compiled in, and the bill of materials of a release.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::sbom;

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
}

#[derive(Deserialize)]
struct Known {
    advisory: Vec<Advisory>,
}

#[derive(Deserialize)]
struct Advisory {
    id: String,
    #[serde(rename = "crate")]
    name: String,
    from: Option<String>,
    below: Option<String>,
    says: String,
    accepted: Option<String>,
}

#[derive(Deserialize)]
struct Deny {
    advisories: Ignored,
    licenses: Licences,
    bans: Bans,
}

#[derive(Deserialize)]
struct Ignored {
    ignore: Vec<Ignore>,
}

#[derive(Deserialize)]
struct Ignore {
    id: String,
    reason: String,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Named>,
    skip: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn toml<T: DeserializeOwned>(path: &str) -> T {
    let text = std::fs::read_to_string(root().join(path)).unwrap();
    let file = config::File::from_str(&text, config::FileFormat::Toml);
    config::Config::builder().add_source(file).build().unwrap().try_deserialize().unwrap()
}

/// The numbers of a version; what follows `-` or `+` does not count.
fn version(text: &str) -> Vec<u64> {
    let numbers = text.split(['-', '+']).next().unwrap();
    numbers.split('.').map(|number| number.parse().unwrap()).collect()
}

impl Advisory {
    fn is_about(&self, package: &Locked) -> bool {
        let at = version(&package.version);
        self.name == package.name
            && self.from.as_deref().is_none_or(|from| at >= version(from))
            && self.below.as_deref().is_none_or(|below| at < version(below))
    }
}

/// What the lock file holds that is known to be weak and not accepted.
fn weak(lock: &[Locked], known: &[Advisory]) -> Vec<String> {
    let hits = known.iter().flat_map(|advisory| lock.iter().map(move |package| (advisory, package)));
    hits.filter(|(advisory, package)| advisory.accepted.is_none() && advisory.is_about(package))
        .map(|(advisory, package)| format!("{} {}: {} ({})", package.name, package.version, advisory.says, advisory.id))
        .collect()
}

#[test]
fn no_crate_with_a_known_weakness_is_locked() {
    for path in ["Cargo.lock", "fuzz/Cargo.lock"] {
        let found = weak(&toml::<Lock>(path).package, &toml::<Known>("packaging/advisories.toml").advisory);
        assert!(found.is_empty(), "{path}: {found:#?}");
    }
}

#[test]
fn a_weak_crate_would_be_noticed() {
    let locked = |name: &str, version: &str| Locked {
        name: name.to_owned(),
        version: version.to_owned(),
        source: None,
        checksum: None,
    };
    let known = toml::<Known>("packaging/advisories.toml").advisory;
    let told = |name: &str, version: &str| weak(&[locked(name, version)], &known).len();
    assert_eq!((told("h2", "0.4.15"), told("h2", "0.4.16"), told("h2", "0.4.3")), (1, 0, 2));
    assert_eq!((told("slab", "0.4.9"), told("slab", "0.4.10"), told("slab", "0.4.11")), (0, 1, 0));
    assert_eq!(
        (told("paste", "1.0.15"), told("backoff", "0.4.0")),
        (1, 0),
        "unmaintained: refused, or accepted by name"
    );
}

#[test]
fn what_is_accepted_is_used_and_says_why_in_both_places() {
    let lock = toml::<Lock>("Cargo.lock").package;
    let known = toml::<Known>("packaging/advisories.toml").advisory;
    let accepted: BTreeSet<&str> =
        known.iter().filter(|one| one.accepted.is_some()).map(|one| one.id.as_str()).collect();
    let ignored = toml::<Deny>("deny.toml").advisories.ignore;
    assert!(ignored.iter().all(|one| one.reason.len() > 20), "a reason is a sentence");
    assert_eq!(accepted, ignored.iter().map(|one| one.id.as_str()).collect(), "deny.toml and the copy agree");
    for advisory in known.iter().filter(|one| one.accepted.is_some()) {
        assert!(lock.iter().any(|package| advisory.is_about(package)), "{} is accepted for nothing", advisory.id);
    }
}

#[test]
fn every_crate_comes_from_the_one_registry_with_its_hash() {
    for (path, own) in [("Cargo.lock", &["chatloom"][..]), ("fuzz/Cargo.lock", &["chatloom", "chatloom-fuzz"])] {
        for package in toml::<Lock>(path).package {
            let Locked { name, source, checksum, .. } = package;
            if own.contains(&name.as_str()) {
                assert_eq!((source, checksum), (None, None), "{name}");
                continue;
            }
            let source = source.unwrap_or_default();
            assert_eq!(source, "registry+https://github.com/rust-lang/crates.io-index", "{path}: {name}");
            assert!(checksum.is_some_and(|hash| hash.len() == 64), "{path}: {name} has no hash");
        }
    }
}

#[test]
fn what_is_banned_is_not_locked_and_fuzzing_builds_what_is_released() {
    let lock = toml::<Lock>("Cargo.lock").package;
    let banned = toml::<Deny>("deny.toml").bans.deny;
    for name in ["openssl", "openssl-sys", "native-tls"] {
        assert!(banned.iter().any(|one| one.name == name), "{name}: deny.toml bans it");
    }
    assert!(banned.iter().all(|one| !lock.iter().any(|package| package.name == one.name)));
    let released: BTreeSet<(String, String)> = lock.into_iter().map(|one| (one.name, one.version)).collect();
    let ours = ["chatloom-fuzz", "libfuzzer-sys", "arbitrary"];
    let others: Vec<_> = toml::<Lock>("fuzz/Cargo.lock")
        .package
        .into_iter()
        .filter(|one| !ours.contains(&one.name.as_str()))
        .map(|one| (one.name, one.version))
        .filter(|one| !released.contains(one))
        .collect();
    assert!(others.is_empty(), "fuzz/Cargo.lock differs: copy Cargo.lock there and let cargo add to it: {others:#?}");
}

/// A crate twice costs size: the pairs are listed in deny.toml, each with its reason. What only other platforms or only
/// tests need does not count.
#[test]
fn no_crate_is_built_in_twice_without_a_reason() {
    let bill: Value = serde_json::from_str(&sbom::document(root()).unwrap()).unwrap();
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, version) in components(&bill) {
        versions.entry(name).or_default().push(version);
    }
    let skipped = toml::<Deny>("deny.toml").bans.skip;
    assert!(skipped.iter().all(|one| one.reason.len() > 5));
    for (name, versions) in versions.iter().filter(|(_, versions)| versions.len() > 1) {
        let listed = |version: &String| {
            skipped.iter().any(|one| {
                one.name
                    .split_once('@')
                    .is_some_and(|(of, at)| of == name && format!("{version}.").starts_with(&format!("{at}.")))
            })
        };
        let unlisted = versions.iter().filter(|version| !listed(version)).count();
        assert!(unlisted <= 1, "{name} {versions:?}: say why in deny.toml, or mend it");
    }
}

/// The licence terms of an expression: every alternative of `OR`, as the parts that all apply.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let one = |licence: &str| {
        let licence = licence.trim().trim_matches(['(', ')']);
        let bare = licence.split(" WITH ").next().unwrap();
        licence == bare && allowed.iter().any(|known| known == bare)
    };
    // Parentheses stand around alternatives, `A AND (B OR C)`: every part must have one that is enough.
    expression.replace('/', " OR ").split(" AND ").all(|part| part.split(" OR ").any(one))
}

#[test]
fn every_licence_is_one_that_deny_toml_allows() {
    let allowed = toml::<Deny>("deny.toml").licenses.allow;
    assert!(is_allowed("MIT OR GPL-3.0", &allowed) && is_allowed("(MIT OR X) AND Unicode-3.0", &allowed));
    assert!(!is_allowed("GPL-3.0", &allowed) && !is_allowed("MIT AND GPL-3.0", &allowed));
    let bill: Value = serde_json::from_str(&sbom::document(root()).unwrap()).unwrap();
    let mut wrong = Vec::new();
    for component in bill["components"].as_array().unwrap() {
        let licence = component["licenses"][0]["expression"].as_str().unwrap_or_default();
        // SQLite is in the public domain.
        if component["name"] != "sqlite" && !is_allowed(licence, &allowed) {
            wrong.push(format!("{}: {licence:?}", component["purl"]));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn sqlite_is_compiled_in_and_has_no_known_hole() {
    // 3.51.3 mends a race that could lose writes when a log is begun anew.
    assert!(rusqlite::version_number() >= 3_051_003, "SQLite {}", rusqlite::version());
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.lines().any(|line| line.starts_with("rusqlite = ") && line.contains("\"bundled\"")));
}

#[test]
fn unsafe_code_is_forbidden_in_every_part() {
    for path in ["Cargo.toml", "fuzz/Cargo.toml"] {
        let manifest = std::fs::read_to_string(root().join(path)).unwrap();
        assert!(manifest.contains("[lints.rust]\nunsafe_code = \"forbid\""), "{path}");
    }
}

fn components(bill: &Value) -> Vec<(String, String)> {
    let of = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
    bill["components"].as_array().unwrap().iter().map(|one| (of(one, "name"), of(one, "version"))).collect()
}

/// Every crate that a build needs, as `cargo tree` tells it, is in the bill of materials: once, with its address, its
/// licence and its hash.
#[test]
fn the_bill_of_materials_names_every_crate_once() {
    let text = sbom::document(root()).unwrap();
    assert_eq!(text, sbom::document(root()).unwrap(), "the same lock file makes the same bytes");
    let bill: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    assert_eq!(bill["metadata"]["component"]["version"], env!("CARGO_PKG_VERSION"));
    let told = components(&bill);
    let unique: BTreeSet<(String, String)> = told.iter().cloned().collect();
    assert_eq!(unique.len(), told.len(), "a crate stands there twice");

    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges", "normal,build", "--prefix", "none", "--format", "{p}"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    let mut needed: BTreeSet<(String, String)> = tree
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
        })
        .collect();
    assert!(needed.len() > 100, "cargo tree is read: {needed:?}");
    needed.remove(&("chatloom".to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
    let missing: Vec<_> = needed.difference(&unique).collect();
    assert!(missing.is_empty(), "not in the bill: {missing:?}");

    let refs: BTreeSet<&str> =
        bill["dependencies"].as_array().unwrap().iter().map(|one| one["ref"].as_str().unwrap()).collect();
    for one in bill["components"].as_array().unwrap() {
        let (name, purl) = (one["name"].as_str().unwrap(), one["purl"].as_str().unwrap());
        assert_eq!(one["bom-ref"], one["purl"]);
        assert!(one["licenses"][0]["expression"].as_str().is_some_and(|licence| !licence.is_empty()), "{purl}");
        if name == "sqlite" {
            assert!(purl.starts_with("pkg:generic/sqlite@3."));
            continue;
        }
        assert!(purl.starts_with(&format!("pkg:cargo/{name}@")), "{purl}");
        assert!(one["hashes"][0]["content"].as_str().is_some_and(|hash| hash.len() == 64), "{purl}");
        assert!(refs.contains(purl), "{purl} has no place in the graph");
    }
}
