//! Copies of the whole store: made while others write, looked at before they count, and thinned out.
//!
//! A copy is made by `VACUUM INTO`, which reads one state of the store in one transaction, waits for nobody and holds
//! up nobody, and leaves behind what was deleted. It is written under a temporary name and gets its own name only when
//! it is whole, sound and on the disk.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use serde::Serialize;

use super::failpoint::failpoint;
use super::person::{self, Known};
use super::{Person, StoreError, Who, open, schema, shroud, verify};

/// Copies from before one upgrade that are kept: each attempt of an upgrade that is killed again and again makes one.
const KEPT_BEFORE_UPGRADE: usize = 2;

/// A copy that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Backup {
    pub path: PathBuf,
    pub size_bytes: u64,
    pub schema: i64,
    pub conversations: i64,
    pub messages: i64,
    /// Older copies of this store that were removed for it.
    pub removed: Vec<PathBuf>,
}

/// Copies the store at `store` into `folder`, which is made if it is not there, and keeps the `keep` newest copies of
/// this store there. Other files in the folder are left alone.
///
/// # Errors
/// No store, or no copy could be made; then none is left behind.
pub fn backup(store: &Path, folder: &Path, keep: usize, now_ms: i64) -> Result<Backup, StoreError> {
    let (connection, schema) = open::open_as_it_is(store)?;
    if !folder.is_dir() {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| not_kept(folder, error.to_string()))?;
    }
    let path = copy(&connection, store, folder, "", schema, now_ms)?;
    let count = |table: &str| {
        let copy = open_copy(&path).map_err(|error| not_kept(folder, error.to_string()))?;
        copy.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0))
            .map_err(|error| not_kept(folder, error.to_string()))
    };
    let (conversations, messages) = (count("conversations")?, count("messages")?);
    let size_bytes = std::fs::metadata(&path).map_or(0, |file| file.len());
    let mut removed = Vec::new();
    // What bears a later time than this one was made while the clock was wrong, and counts for nothing: by its name it
    // would stay the newest for as long, and every true copy would go.
    let earlier = scheduled(store, folder).into_iter().filter(|old| *old < path);
    for old in earlier.skip(keep.saturating_sub(1)) {
        match std::fs::remove_file(&old) {
            Ok(()) => removed.push(old),
            Err(error) => tracing::warn!(backup = %old.display(), %error, "an old backup could not be removed"),
        }
    }
    Ok(Backup { path, size_bytes, schema, conversations, messages, removed })
}

/// Copies a store that is about to be upgraded, beside itself.
pub(super) fn before_upgrade(
    connection: &Connection,
    store: &Path,
    target: i64,
    now_ms: i64,
) -> Result<PathBuf, StoreError> {
    let folder = match store.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let (_, schema) = schema::marks(connection)?;
    let label = format!("before-schema-{target}-");
    let path = copy(connection, store, folder, &label, schema, now_ms)?;
    for old in named(store, folder, &label).into_iter().filter(|old| *old < path).skip(KEPT_BEFORE_UPGRADE - 1) {
        if let Err(error) = std::fs::remove_file(&old) {
            tracing::warn!(backup = %old.display(), %error, "an old backup could not be removed");
        }
    }
    Ok(path)
}

/// Every copy of this store in a folder, the newest first: those made by `backup`, and those from before an upgrade.
#[must_use]
pub fn copies(store: &Path, folder: &Path) -> Vec<PathBuf> {
    let mut found = scheduled(store, folder);
    for target in 2..=schema::SCHEMA_VERSION {
        found.extend(named(store, folder, &format!("before-schema-{target}-")));
    }
    found
}

/// The copies of this store in these folders that still hold somebody, or that cannot be read and so may.
///
/// Those that a killed process left unfinished are among them. `found`: who they are, or were, in the store itself.
#[must_use]
pub fn holding(store: &Path, folders: &[&Path], who: &Who, found: &[Person]) -> Vec<PathBuf> {
    let key = open::open_as_it_is(store).ok().and_then(|(store, _)| shroud::read_key(&store).ok());
    let known = key.map(|key| Known { names: found.iter().map(|person| person.pseudonym(&key)).collect(), key });
    let whole = folders.iter().flat_map(|folder| copies(store, folder));
    let mut found: Vec<PathBuf> = whole.chain(folders.iter().flat_map(|folder| parts(store, folder))).collect();
    found.sort_unstable();
    found.dedup();
    let holds = |path: &PathBuf| {
        let found = open_copy(path).and_then(|copy| person::holds(&copy, who, known.as_ref()));
        found.unwrap_or(true)
    };
    found.retain(holds);
    found
}

/// Copies made by [`backup`] of this very store: by their names, and by the key that they share with it.
fn scheduled(store: &Path, folder: &Path) -> Vec<PathBuf> {
    let key = |path: &Path| -> Option<Vec<u8>> {
        let sql = "SELECT key FROM erasure WHERE id = 1";
        open_copy(path).ok()?.query_row(sql, [], |row| row.get(0)).ok()
    };
    let own = open::open_as_it_is(store).ok().and_then(|(store, _)| {
        store.query_row("SELECT key FROM erasure WHERE id = 1", [], |row| row.get::<_, Vec<u8>>(0)).ok()
    });
    named(store, folder, "").into_iter().filter(|path| own.is_some() && key(path) == own).collect()
}

/// Files whose name this module gave, the newest first.
fn named(store: &Path, folder: &Path, label: &str) -> Vec<PathBuf> {
    let stem = stem(store);
    let is_ours = |name: &str| {
        let time = name.strip_prefix(&stem).and_then(|rest| rest.strip_prefix('-'));
        let time = time.and_then(|rest| rest.strip_prefix(label)).and_then(|rest| rest.strip_suffix(".db"));
        time.is_some_and(is_stamp)
    };
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| is_ours(name)).collect();
    names.sort_unstable_by(|a, b| b.cmp(a));
    names.into_iter().map(|name| folder.join(name)).collect()
}

/// Unfinished copies of a store of this name, and what SQLite leaves beside them.
fn parts(store: &Path, folder: &Path) -> Vec<PathBuf> {
    let prefix = format!(".{}-", stem(store));
    let is_ours = |name: &str| {
        let name = name.strip_suffix("-journal").unwrap_or(name);
        let name = name.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(".db.part"));
        name.is_some_and(|name| {
            let (label, time) = name.rsplit_once('-').map_or(("", name), |(label, time)| (label, time));
            (label.is_empty() || label.starts_with("before-schema-")) && is_stamp(time)
        })
    };
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| is_ours(name)).map(|name| folder.join(name)).collect()
}

/// `20260302T120000.000Z`: sorts as it runs, and no file system minds it.
fn is_stamp(text: &str) -> bool {
    text.len() == 20
        && text.chars().enumerate().all(|(at, c)| match at {
            8 => c == 'T',
            15 => c == '.',
            19 => c == 'Z',
            _ => c.is_ascii_digit(),
        })
}

fn name(store: &Path, label: &str, now_ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(now_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{}-{label}{}.db", stem(store), time.strftime("%Y%m%dT%H%M%S.%3fZ"))
}

fn stem(store: &Path) -> String {
    store.file_stem().map_or_else(|| "store".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

/// Makes a copy in `folder`, whole or not at all.
fn copy(
    connection: &Connection,
    store: &Path,
    folder: &Path,
    label: &str,
    schema: i64,
    now_ms: i64,
) -> Result<PathBuf, StoreError> {
    clear_parts(store, folder, label, now_ms);
    let name = name(store, label, now_ms);
    let (part, path) = (folder.join(format!(".{name}.part")), folder.join(name));
    if path.exists() {
        return Err(not_kept(folder, format!("{} is there already", path.display())));
    }
    // The file is made here and not by SQLite: closed to others whatever the umask.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part);
    let outcome = made.map_err(|error| error.to_string()).and_then(|made| {
        drop(made);
        let target = part.to_str().ok_or("the folder's name is not text")?;
        // `query_only` minds the copy as well; a reader's connection is opened read-only besides.
        let copied = connection
            .execute_batch("PRAGMA query_only = OFF")
            .and_then(|()| connection.execute("VACUUM INTO ?1", [target]));
        copied.map_err(|error| error.to_string())?;
        failpoint!("backup.written");
        look_at(&part, schema)?;
        let synced = File::open(&part).and_then(|file| file.sync_all());
        synced.and_then(|()| std::fs::rename(&part, &path)).map_err(|error| error.to_string())?;
        failpoint!("backup.named");
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| error.to_string())
    });
    if let Err(cause) = outcome {
        drop(std::fs::remove_file(&part));
        return Err(not_kept(folder, cause));
    }
    Ok(path)
}

/// Removes unfinished copies that killed processes left behind: those that nobody has written to for an hour, and
/// from before an upgrade all, since the upgrading process is the only writer.
fn clear_parts(store: &Path, folder: &Path, label: &str, now_ms: i64) {
    const HOUR_MS: i64 = 3_600_000;
    let prefix = format!(".{}-{label}", stem(store));
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        let time = name.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(".db.part"));
        let written_ms = entry.metadata().and_then(|file| file.modified()).ok().and_then(|at| {
            let since = at.duration_since(std::time::UNIX_EPOCH).ok()?;
            i64::try_from(since.as_millis()).ok()
        });
        let left = !label.is_empty() || written_ms.is_some_and(|at| at.saturating_add(HOUR_MS) < now_ms);
        if left && time.is_some_and(is_stamp) {
            drop(std::fs::remove_file(entry.path()));
        }
    }
}

/// A copy counts only if it is sound and says what the store says of itself.
fn look_at(part: &Path, schema: i64) -> Result<(), String> {
    let copy = open_copy(part).map_err(|error| error.to_string())?;
    let (application, version) = schema::marks(&copy).map_err(|error| error.to_string())?;
    if (application, version) != (schema::APPLICATION_ID, schema) {
        return Err(format!(
            "the copy is marked {application} and {version}, not {} and {schema}",
            schema::APPLICATION_ID
        ));
    }
    match verify::integrity(&copy).0.as_slice() {
        [] => Ok(()),
        problems => Err(format!("the copy is not sound, and so perhaps the store: {}", problems.join("; "))),
    }
}

/// Opens a file that nobody writes to, without making files beside it: whatever it is, it is left as it was.
fn open_copy(path: &Path) -> rusqlite::Result<Connection> {
    let mut uri = String::from("file:");
    for c in path.to_string_lossy().chars() {
        match c {
            '%' => uri.push_str("%25"),
            '?' => uri.push_str("%3f"),
            '#' => uri.push_str("%23"),
            _ => uri.push(c),
        }
    }
    uri.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(uri, flags)
}

fn not_kept(folder: &Path, cause: String) -> StoreError {
    StoreError::NotKept { folder: folder.to_owned(), cause }
}
