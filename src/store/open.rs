//! Opening the file: private to its owner, never a foreign or newer one, always with the same settings.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use url::Url;

use super::failpoint::failpoint;
use super::{StoreError, patience, schema};

/// The oldest SQLite without the WAL-reset bug (fixed in 3.51.3), which can lose committed writes.
const OLDEST_ENGINE: i32 = 3_051_003;

/// Bytes of an SQLite file's header.
const HEADER: u64 = 100;

/// The connection that writes: makes the file (mode 0600) if there is none, and brings its schema up to date.
pub(super) fn open_writer(path: &Path, now_ms: i64) -> Result<Connection, StoreError> {
    let unopenable = |cause: String| StoreError::Unopenable { path: path.to_owned(), cause };
    if rusqlite::version_number() < OLDEST_ENGINE {
        return Err(unopenable(format!("SQLite {} is too old", rusqlite::version())));
    }
    if path.parent().is_some_and(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        return Err(StoreError::NoFolder { path: path.to_owned() });
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        // Before SQLite locks anything: closing the file once gives up all locks that this process has on it.
        Ok(file) => drop(file),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            look_at_header(path)?;
        }
        Err(error) => return Err(unopenable(error.to_string())),
    }
    failpoint!("open.created");
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(|error| unopenable(error.to_string()))?;
    // Whatever SQLite finds wrong here has to do with the file: name it.
    let named = |error| match error {
        StoreError::Sql { doing, source } => unopenable(format!("{doing}: {source}")),
        other => other,
    };
    schema::recognise(&connection, path).map_err(named)?;
    settle(&mut connection).map_err(StoreError::sql("opening the store")).map_err(named)?;
    failpoint!("open.settled");
    schema::migrate(&mut connection, path, now_ms).map_err(named)?;
    Ok(connection)
}

/// A read-only connection to an existing store of this version.
///
/// # Errors
/// No file, a foreign one, or one of another version.
pub fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let (connection, found) = open_as_it_is(path)?;
    if found < schema::SCHEMA_VERSION {
        return Err(StoreError::Older { path: path.to_owned(), found, known: schema::SCHEMA_VERSION });
    }
    confine(&connection).map_err(StoreError::sql("opening the store"))?;
    Ok(connection)
}

/// Leaves a reader nothing but to read this one file, whatever statement reaches it: no other file is attached, no
/// library loaded (SQLite's default), nothing but tables and views is trusted.
fn confine(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    Ok(())
}

/// The same for a store of this version or an earlier one, and which it is.
pub(super) fn open_as_it_is(path: &Path) -> Result<(Connection, i64), StoreError> {
    let unopenable = |cause: String| StoreError::Unopenable { path: path.to_owned(), cause };
    if !path.exists() {
        return Err(StoreError::Missing { path: path.to_owned() });
    }
    let application = look_at_header(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| unopenable(error.to_string()))?;
    connection
        .execute_batch("PRAGMA busy_timeout = 10000; PRAGMA query_only = ON; PRAGMA trusted_schema = OFF;")
        .map_err(|error| unopenable(error.to_string()))?;
    let marks = schema::marks(&connection).and_then(|marks| Ok((marks, schema::recognise(&connection, path)?)));
    // Whatever SQLite finds wrong here has to do with the file: name it.
    let ((_, version), ()) = marks.map_err(|error| match error {
        // Its maker was killed, and left a journal that a reader cannot roll back.
        StoreError::Sql { .. } if application == Some(0) && has_journal(path) => {
            StoreError::Missing { path: path.to_owned() }
        }
        StoreError::Sql { source, .. } if is_unreadable(&source) => {
            StoreError::Sql { doing: "reading the file", source }
        }
        StoreError::Sql { .. } => unopenable(error.to_string()),
        other => other,
    })?;
    // One that holds nothing yet, or whose making was cut short.
    if version == 0 {
        return Err(StoreError::Missing { path: path.to_owned() });
    }
    Ok((connection, version))
}

/// Refuses a foreign or newer file by its header, before anything could be changed in it or made beside it.
///
/// SQLite reads the header, as a file that nobody changes: no lock is taken and no log looked at. It must not be read past
/// SQLite: a process gives up all its locks on a file when it closes it once (POSIX), and whoever closed the store next
/// elsewhere would take it for unused and delete the log that this process writes to.
///
/// Gives back the application id that the header has, if it could be read.
fn look_at_header(path: &Path) -> Result<Option<i64>, StoreError> {
    let unopenable = |cause: String| StoreError::Unopenable { path: path.to_owned(), cause };
    let foreign = |found: String| StoreError::Foreign { path: path.to_owned(), found };
    not_a_file(path)?;
    // SQLite would take what a shorter one lacks for zeros. An empty one is new.
    if (1..HEADER).contains(&std::fs::metadata(path).map_or(0, |found| found.len())) {
        return Err(foreign("not an SQLite file".to_owned()));
    }
    let whole = std::path::absolute(path).map_err(|error| unopenable(error.to_string()))?;
    let mut address = Url::from_file_path(whole).map_err(|()| unopenable("its path cannot be written".to_owned()))?;
    address.set_query(Some("immutable=1"));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let marks = || {
        let header = Connection::open_with_flags(address.as_str(), flags)?;
        // The header counts too where the file is shorter than it says.
        header.execute_batch("PRAGMA writable_schema = ON")?;
        let mark = |name| header.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        Ok((mark("application_id")?, mark("user_version")?))
    };
    let (application, version) = match marks() {
        Ok(marks) => marks,
        Err(error) => match rusqlite::Error::sqlite_error_code(&error) {
            Some(ErrorCode::NotADatabase) => return Err(foreign("not an SQLite file".to_owned())),
            // A file to which somebody writes may look like that for a moment. With its log, it tells what it is.
            Some(ErrorCode::DatabaseCorrupt) => return Ok(None),
            _ => return Err(unopenable(why_not(path).unwrap_or_else(|| error.to_string()))),
        },
    };
    if application == schema::APPLICATION_ID {
        if version > schema::SCHEMA_VERSION {
            return Err(StoreError::Newer { path: path.to_owned(), found: version, known: schema::SCHEMA_VERSION });
        }
        return Ok(Some(application));
    }
    // A store that was killed while it was made has its marks in the WAL only; `migrate` looks again.
    match (application, version) {
        (0, 0) => Ok(Some(0)),
        _ => Err(foreign(format!("application_id {application}"))),
    }
}

/// Whether a rollback journal stands beside the file: a store has its application id only once it keeps a log instead.
fn has_journal(path: &Path) -> bool {
    let mut journal = path.as_os_str().to_owned();
    journal.push("-journal");
    Path::new(&journal).exists()
}

/// The disk gave an error, which is damage, and not a matter of who may read.
fn is_unreadable(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
}

/// Refuses what no store can be: a folder, a device, a pipe.
pub(super) fn not_a_file(path: &Path) -> Result<(), StoreError> {
    let found = match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => "a folder",
        Ok(found) if !found.is_file() => "not a file",
        _ => return Ok(()),
    };
    Err(StoreError::Foreign { path: path.to_owned(), found: found.to_owned() })
}

/// Why the system does not open a file. One that it does open stays so, see [`look_at_header`].
fn why_not(path: &Path) -> Option<String> {
    File::open(path).map(std::mem::forget).err().map(|error| error.to_string())
}

fn settle(connection: &mut Connection) -> rusqlite::Result<()> {
    patience::wait_while_opening(connection)?;
    // Plans do not depend on the values that are bound: they stay the same, and no statement is prepared again for them.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // auto_vacuum counts only before the first table; FULL because a cursor claims that rows are stored; FAST so that a
    // page which is put to another use holds no text of its former one, which nothing would find to erase it.
    connection.execute_batch(
        "PRAGMA page_size = 8192;
         PRAGMA auto_vacuum = INCREMENTAL;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA wal_autocheckpoint = 2000;
         PRAGMA journal_size_limit = 67108864;
         PRAGMA cache_size = -8000;
         PRAGMA temp_store = MEMORY;
         PRAGMA trusted_schema = OFF;
         PRAGMA cell_size_check = ON;
         PRAGMA secure_delete = FAST;",
    )?;
    #[cfg(debug_assertions)]
    if let Some(pages) = super::failpoint::faults().max_pages {
        connection.pragma_update(None, "max_page_count", pages)?;
    }
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_new_store_is_private_and_opens_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new.db");
        drop(open_writer(&path, 1).unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(open_writer(&path, 1).unwrap());
        open_reader(&path).unwrap();
    }

    /// What it takes for an acknowledged commit to survive a power cut.
    #[test]
    fn the_writer_syncs_every_commit() {
        let folder = tempfile::tempdir().unwrap();
        let writer = open_writer(&folder.path().join("a.db"), 1).unwrap();
        let setting = |name: &str| writer.pragma_query_value(None, name, |row| row.get::<_, String>(0)).unwrap();
        let number = |name: &str| writer.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!((setting("journal_mode").as_str(), number("synchronous")), ("wal", 2));
    }

    #[test]
    fn a_reader_reads_this_file_and_does_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        drop(open_writer(&path, 1).unwrap());
        let reader = open_reader(&path).unwrap();
        let other = folder.path().join("other.db");
        // Not even one that takes the settings back writes.
        reader.execute_batch("PRAGMA query_only = OFF; PRAGMA writable_schema = ON").unwrap();
        for statement in [
            "DELETE FROM messages",
            "UPDATE sqlite_schema SET sql = ''",
            "CREATE TABLE t (a)",
            "PRAGMA user_version = 9",
            "SELECT load_extension('evil')",
            "SELECT readfile('/etc/hostname')",
            &format!("ATTACH '{}' AS other", other.display()),
            &format!("VACUUM INTO '{}'", other.display()),
        ] {
            reader.execute_batch(statement).unwrap_err();
        }
        assert!(!other.exists());
        reader.query_row("SELECT count(*) FROM messages", [], |row| row.get::<_, i64>(0)).unwrap();
    }

    #[test]
    fn a_newer_or_foreign_file_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let newer = folder.path().join("newer.db");
        drop(open_writer(&newer, 1).unwrap());
        let connection = Connection::open(&newer).unwrap();
        connection.execute_batch("PRAGMA user_version = 99; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        drop(connection);
        // Its name has what an address would have to escape.
        let foreign = folder.path().join("foreign ?#%41.db");
        Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (a); PRAGMA application_id = 7").unwrap();
        let other = folder.path().join("other.db");
        Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
        let text = folder.path().join("text.db");
        std::fs::write(&text, "hello").unwrap();
        for path in [&newer, &foreign, &text] {
            let before = std::fs::read(path).unwrap();
            open_writer(path, 1).unwrap_err();
            open_reader(path).unwrap_err();
            assert_eq!(std::fs::read(path).unwrap(), before, "{}", path.display());
        }
        assert!(matches!(open_writer(&other, 1), Err(StoreError::Foreign { .. })));
        assert!(matches!(open_writer(&newer, 1), Err(StoreError::Newer { found: 99, .. })));
        assert!(matches!(open_writer(folder.path(), 1), Err(StoreError::Foreign { .. })));
        assert!(matches!(open_writer(&folder.path().join("no/such.db"), 1), Err(StoreError::NoFolder { .. })));
        assert!(matches!(open_reader(&folder.path().join("none.db")), Err(StoreError::Missing { .. })));
        // The header counts also where the rest is gone.
        OpenOptions::new().write(true).open(&newer).unwrap().set_len(20_000).unwrap();
        assert!(matches!(open_writer(&newer, 1), Err(StoreError::Newer { found: 99, .. })));
        let link = folder.path().join("link.db");
        std::os::unix::fs::symlink("nowhere.db", &link).unwrap();
        assert!(open_writer(&link, 1).unwrap_err().to_string().contains("No such file"));
    }

    #[test]
    fn a_file_whose_making_was_cut_short_is_no_store_yet() {
        let folder = tempfile::tempdir().unwrap();
        let (made, left) = (folder.path().join("made.db"), folder.path().join("left.db"));
        let maker = Connection::open(&made).unwrap();
        // More than the cache holds, so that the journal has to be on the disk.
        maker
            .execute_batch(
                "PRAGMA auto_vacuum = INCREMENTAL; VACUUM; PRAGMA cache_size = 1; BEGIN; CREATE TABLE t (a);
                 WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 99)
                 INSERT INTO t SELECT randomblob(4000) FROM n;",
            )
            .unwrap();
        for (from, to) in [("made.db", "left.db"), ("made.db-journal", "left.db-journal")] {
            std::fs::copy(folder.path().join(from), folder.path().join(to)).unwrap();
        }
        assert!(matches!(open_reader(&left), Err(StoreError::Missing { .. })));
        drop(open_writer(&left, 1).unwrap());
        open_reader(&left).unwrap();
        drop(maker);
        // A backup keeps no log either, but it is a store.
        let backup = folder.path().join("backup.db");
        Connection::open(&left).unwrap().execute("VACUUM INTO ?1", [backup.to_str()]).unwrap();
        let other = Connection::open(&backup).unwrap();
        other
            .execute_batch(
                "PRAGMA cache_size = 1; BEGIN; CREATE TABLE t (a);
                 WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 99)
                 INSERT INTO t SELECT randomblob(4000) FROM n;",
            )
            .unwrap();
        for (from, to) in [("backup.db", "torn.db"), ("backup.db-journal", "torn.db-journal")] {
            std::fs::copy(folder.path().join(from), folder.path().join(to)).unwrap();
        }
        let torn = open_reader(&folder.path().join("torn.db"));
        assert!(matches!(torn, Err(StoreError::Unopenable { .. })), "{torn:?}");
    }
}
