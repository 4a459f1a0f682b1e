//! The software bill of materials of a package (CycloneDX 1.5, JSON): every crate that the program is built from, with its
//! licence, its hash in Cargo.lock and what it depends on, and the SQLite that is compiled in.
//!
//! Nothing in it comes from the clock or the machine: the same lock file makes the same bytes for one target.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use serde_json::{Value, json};

/// What `cargo metadata` says, as far as it is needed.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    root: Option<String>,
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dep>,
}

#[derive(Deserialize)]
struct Dep {
    pkg: String,
    dep_kinds: Vec<DepKind>,
}

#[derive(Deserialize)]
struct DepKind {
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

/// The document for the package in `folder`, built for the target that this was built for.
///
/// # Errors
/// Cargo cannot be run, or says something that is not understood.
pub(crate) fn document(folder: &Path) -> io::Result<String> {
    let metadata = metadata(folder)?;
    let lock = std::fs::read_to_string(folder.join("Cargo.lock"))?;
    let lock: Lock = config::Config::builder()
        .add_source(config::File::from_str(&lock, config::FileFormat::Toml))
        .build()
        .and_then(config::Config::try_deserialize)
        .map_err(io::Error::other)?;
    let hashes = lock.package.into_iter().filter_map(|one| Some(((one.name, one.version), one.checksum?))).collect();
    let json = bill(&metadata, &hashes).ok_or_else(|| io::Error::other("cargo metadata names no root"))?;
    Ok(format!("{}\n", serde_json::to_string_pretty(&json).map_err(io::Error::other)?))
}

fn metadata(folder: &Path) -> io::Result<Metadata> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let host = Command::new("rustc").arg("-vV").output()?.stdout;
    let host = String::from_utf8_lossy(&host);
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or("x86_64-unknown-linux-gnu");
    let asked = ["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", host];
    let said = Command::new(cargo).args(asked).current_dir(folder).output()?;
    if !said.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&said.stderr).into_owned()));
    }
    serde_json::from_slice(&said.stdout).map_err(io::Error::other)
}

type Hashes = BTreeMap<(String, String), String>;

fn bill(metadata: &Metadata, hashes: &Hashes) -> Option<Value> {
    let root = metadata.resolve.root.as_deref()?;
    let packages: BTreeMap<&str, &Package> = metadata.packages.iter().map(|one| (one.id.as_str(), one)).collect();
    let nodes: BTreeMap<&str, &Node> = metadata.resolve.nodes.iter().map(|one| (one.id.as_str(), one)).collect();
    // What is needed to build and run it; what only tests need is not in it.
    let needed = |id: &str| -> BTreeSet<&str> {
        let deps = nodes.get(id).map(|node| node.deps.as_slice()).unwrap_or_default();
        let kept = deps.iter().filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind.as_deref() != Some("dev")));
        kept.map(|dep| dep.pkg.as_str()).collect()
    };
    let (mut reached, mut open) = (BTreeSet::from([root]), vec![root]);
    while let Some(id) = open.pop() {
        open.extend(needed(id).into_iter().filter(|id| reached.insert(id)));
    }
    let sqlite = sqlite();
    let bom_ref = |id: &str| packages.get(id).map(|package| purl(package));
    let mut components = vec![sqlite.clone()];
    let mut dependencies = Vec::new();
    for id in &reached {
        let package = packages.get(id)?;
        let mut needs: Vec<String> = needed(id).into_iter().filter_map(bom_ref).collect();
        if package.name == "libsqlite3-sys" {
            needs.extend(sqlite.get("bom-ref").and_then(Value::as_str).map(str::to_owned));
        }
        needs.sort();
        dependencies.push(json!({"ref": purl(package), "dependsOn": needs}));
        if *id != root {
            components.push(component(package, "library", hashes));
        }
    }
    let name = |value: &Value| (value["name"].to_string(), value["version"].to_string());
    components.sort_by_key(name);
    dependencies.sort_by_key(|value| value["ref"].to_string());
    Some(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": component(packages.get(root)?, "application", hashes)},
        "components": components,
        "dependencies": dependencies,
    }))
}

fn component(package: &Package, kind: &str, hashes: &Hashes) -> Value {
    let mut component = json!({
        "type": kind,
        "bom-ref": purl(package),
        "name": package.name,
        "version": package.version,
        "purl": purl(package),
    });
    // "MIT/Apache-2.0" is the spelling of old manifests.
    if let Some(license) = &package.license {
        component["licenses"] = json!([{"expression": license.replace('/', " OR ")}]);
    }
    if let Some(hash) = hashes.get(&(package.name.clone(), package.version.clone())) {
        component["hashes"] = json!([{"alg": "SHA-256", "content": hash}]);
    }
    if kind == "library" && package.source.is_none() {
        component["description"] = "part of this repository".into();
    }
    component
}

fn purl(package: &Package) -> String {
    // Build metadata: a bare `+` would be read as a space.
    format!("pkg:cargo/{}@{}", package.name, package.version.replace('+', "%2B"))
}

/// The C library inside `libsqlite3-sys`, which lists of weaknesses know by its own name.
fn sqlite() -> Value {
    let version = rusqlite::version();
    let purl = format!("pkg:generic/sqlite@{version}");
    json!({
        "type": "library",
        "bom-ref": purl,
        "name": "sqlite",
        "version": version,
        "purl": purl,
        "cpe": format!("cpe:2.3:a:sqlite:sqlite:{version}:*:*:*:*:*:*:*"),
        "licenses": [{"expression": "blessing"}],
    })
}
