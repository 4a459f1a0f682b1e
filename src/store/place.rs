//! Whether the files that are open still stand where they were opened. One that was moved, deleted or replaced can be
//! written to without any error, and all of it would be lost to whoever looks at the path.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::StoreError;

/// The file that a path named when it was opened, and what SQLite opened beside it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    file: Spot,
    /// The write-ahead log and its index. SQLite makes both with the first statement and keeps them open.
    parts: Vec<Spot>,
}

#[derive(Debug, Clone)]
struct Spot {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Spot {
    fn of(path: PathBuf) -> std::io::Result<Self> {
        let found = std::fs::metadata(&path)?;
        Ok(Self { path, device: found.dev(), inode: found.ino() })
    }

    fn still_holds(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode))
    }
}

impl Place {
    /// The file at a path, now, and its parts as this connection has them open.
    ///
    /// # Errors
    /// There is none that could be looked at.
    pub(super) fn of(path: &Path, connection: &Connection) -> Result<Self, StoreError> {
        let file = Spot::of(path.to_owned())
            .map_err(|error| StoreError::Unopenable { path: path.to_owned(), cause: error.to_string() })?;
        // Beside the file that a symbolic link leads to, not beside the link: SQLite's own full path.
        let beside = |suffix: &str| connection.path().map(|path| PathBuf::from(format!("{path}{suffix}")));
        let parts = ["-wal", "-shm"].into_iter().filter_map(beside).filter_map(|path| Spot::of(path).ok()).collect();
        Ok(Self { file, parts })
    }

    /// Looks again.
    ///
    /// # Errors
    /// [`StoreError::Moved`] if another file stands there, or none; [`StoreError::Torn`] if that is so of a part.
    pub(super) fn still_holds(&self) -> Result<(), StoreError> {
        if !self.file.still_holds() {
            return Err(StoreError::Moved { path: self.file.path.clone() });
        }
        match self.parts.iter().find(|part| !part.still_holds()) {
            Some(part) => Err(StoreError::Torn { path: part.path.clone() }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::open;
    use super::*;

    #[test]
    fn a_file_that_is_moved_deleted_or_replaced_is_missed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let connection = open::open_writer(&path, 1).unwrap();
        let place = Place::of(&path, &connection).unwrap();
        assert_eq!(place.parts.len(), 2);
        place.still_holds().unwrap();
        connection.execute_batch("CREATE TABLE t (a); PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        place.still_holds().unwrap();
        for name in ["a.db", "a.db-wal", "a.db-shm"] {
            let part = folder.path().join(name);
            let missed = |found: Result<(), StoreError>| match found {
                Err(StoreError::Moved { path } | StoreError::Torn { path }) => assert_eq!(path, part),
                other => panic!("{name}: {other:?}"),
            };
            std::fs::rename(&part, folder.path().join("elsewhere")).unwrap();
            missed(place.still_holds());
            std::fs::write(&part, "another").unwrap();
            missed(place.still_holds());
            std::fs::rename(folder.path().join("elsewhere"), &part).unwrap();
            place.still_holds().unwrap();
        }
    }
}
