//! No key stands anywhere but in a configuration or in its own file: looked for in whatever any story of this run leaves
//! behind. [`crate::harness`] and the rigs call this, so that no story has to.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::{LazyLock, Mutex, PoisonError};

use base64::Engine as _;
use rusqlite::{Connection, OpenFlags};

/// The keys of the simulated providers.
const USUAL: [&str; 4] = ["bd-key", "zaia-key", "sitegpt-key", "sgpt_test"];

/// So many characters at the end of a key give it away as well.
const TAIL: usize = 8;

/// Every key that a story of this run used, with what it is looked for by.
static KNOWN: LazyLock<Mutex<BTreeSet<String>>> =
    LazyLock::new(|| Mutex::new(USUAL.iter().map(|key| (*key).to_owned()).collect()));

/// Takes note of the keys of a configuration. Words that might stand anywhere are not looked for.
pub(crate) fn note_configuration(text: &str) {
    let values = text.split("api_key = \"").skip(1).map(|rest| rest.split(['"', '\n']).next().unwrap_or_default());
    values.filter(|value| !value.contains('\\')).for_each(note);
}

/// Takes note of a key.
pub(crate) fn note(key: &str) {
    if key.len() >= 6 && key.contains(|c: char| c.is_ascii_digit() || c == '-' || c == '_') {
        known().insert(key.to_owned());
    }
}

fn known() -> std::sync::MutexGuard<'static, BTreeSet<String>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a key is looked for by: its end, which stands in the whole of it, and what it becomes in base64.
fn needles() -> Vec<Vec<u8>> {
    let known = known();
    let mut needles = Vec::with_capacity(known.len() * 2);
    for key in known.iter() {
        let tail = key.get(key.len().saturating_sub(TAIL)..).unwrap_or(key);
        needles.push(tail.as_bytes().to_vec());
        // Without what stands for its last bytes: those depend on what follows.
        let whole = key.len() / 3 * 3;
        needles.push(base64::engine::general_purpose::STANDARD.encode(&key.as_bytes()[..whole]).into_bytes());
    }
    needles
}

/// Looks for several things at once, by their first two bytes.
struct Search {
    needles: Vec<Vec<u8>>,
    begins: Vec<bool>,
}

impl Search {
    fn new() -> Self {
        let needles = needles();
        let mut begins = vec![false; 65_536];
        for needle in &needles {
            begins[usize::from(u16::from_be_bytes([needle[0], needle[1]]))] = true;
        }
        Self { needles, begins }
    }

    fn find(&self, bytes: &[u8]) -> Option<String> {
        let mut two = 0_u16;
        for (at, byte) in bytes.iter().enumerate() {
            two = (two << 8) | u16::from(*byte);
            if self.begins[usize::from(two)] && at > 0 {
                let found = self.needles.iter().find(|needle| bytes[at - 1..].starts_with(needle));
                if let Some(needle) = found {
                    let around = &bytes[at.saturating_sub(80)..(at + 80).min(bytes.len())];
                    let around = String::from_utf8_lossy(around);
                    return Some(format!("`{}` in: {around}", String::from_utf8_lossy(needle)));
                }
            }
        }
        None
    }
}

/// Insists that no key stands in something that was said.
#[track_caller]
pub(crate) fn assert_keyless(what: &str, bytes: &[u8]) {
    // A story that failed has something else to tell.
    if !std::thread::panicking()
        && let Some(found) = Search::new().find(bytes)
    {
        panic!("a key stands in {what}: {found}");
    }
}

/// Insists that no key stands in a folder's files, packed or not: logs, stores, copies, core files, whatever is there.
/// Configurations and files that are a key are where keys belong.
#[track_caller]
pub(crate) fn assert_keyless_folder(folder: &Path) {
    if std::thread::panicking() {
        return;
    }
    let search = Search::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        // What goes away meanwhile leaves nothing behind.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file()
                && path.extension().is_none_or(|extension| extension != "toml")
                && let Ok(bytes) = fs::read(&path)
                && !known().contains(String::from_utf8_lossy(&bytes).trim())
            {
                let found = search.find(&bytes).or_else(|| search.find(&unpacked(&path, &bytes)));
                if let Some(found) = found {
                    panic!("a key stands in {}: {found}", path.display());
                }
            }
        }
    }
}

/// What is packed away in a store.
fn unpacked(path: &Path, bytes: &[u8]) -> Vec<u8> {
    if !bytes.starts_with(b"SQLite format 3\0") {
        return Vec::new();
    }
    // A store of another schema, or one that was spoilt on purpose, has been looked at as it is.
    read_packed(path).unwrap_or_default()
}

fn read_packed(path: &Path) -> rusqlite::Result<Vec<u8>> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut statement = connection.prepare("SELECT id FROM raw_records WHERE codec = 'zstd'")?;
    let mut unpacked = Vec::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        unpacked.extend(chatloom::store::raw_record(&connection, row.get(0)?)?.unwrap_or_default().into_bytes());
        unpacked.push(b'\n');
    }
    Ok(unpacked)
}

#[test]
fn a_key_is_found_in_every_form_and_place() {
    let key = "made-up-key-of-traces-77c1e9";
    note_configuration(&format!("[[sources]]\napi_key = \"{key}\"\nname = \"x\"\n"));
    let search = Search::new();
    let packed = base64::engine::general_purpose::STANDARD.encode(key);
    for text in [
        format!("error: key {key} refused"),
        "ending in s-77c1e9".to_owned(),
        packed.clone(),
        packed.trim_end_matches('=').to_owned() + "!",
        "authorization: zaia-key".to_owned(),
    ] {
        assert!(search.find(text.as_bytes()).is_some(), "{text}");
    }
    assert!(search.find(b"made-up-key-of-another-story, zaia.key, bd key").is_none());
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("deep")).unwrap();
    let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    put("chatloom.toml", key);
    put("a.secret", &format!("{key}\n"));
    put("log", "all is well");
    assert_keyless_folder(folder.path());
    put("deep/core", &format!("\u{0}\u{1}{key}\u{0}"));
    let found = std::panic::catch_unwind(|| assert_keyless_folder(folder.path()));
    assert!(found.is_err());
}

/// What the tests keep for good.
#[test]
fn no_key_stands_in_a_snapshot_or_a_fixture() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["tests/it/snapshots", "tests/fixtures", "docs"] {
        assert_keyless_folder(&project.join(folder));
    }
}
