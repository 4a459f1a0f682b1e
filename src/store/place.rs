//! Whether the file that is open still stands where it was opened. One that was moved, deleted or replaced can be
//! written to without any error, and all of it would be lost to whoever looks at the path.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::StoreError;

/// The file that a path named when it was opened.
#[derive(Debug, Clone)]
pub(super) struct Place {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Place {
    /// The file at a path, now.
    ///
    /// # Errors
    /// There is none that could be looked at.
    pub(super) fn of(path: &Path) -> Result<Self, StoreError> {
        let found = std::fs::metadata(path)
            .map_err(|error| StoreError::Unopenable { path: path.to_owned(), cause: error.to_string() })?;
        Ok(Self { path: path.to_owned(), device: found.dev(), inode: found.ino() })
    }

    /// Looks again.
    ///
    /// # Errors
    /// [`StoreError::Moved`] if another file stands there, or none.
    pub(super) fn still_holds(&self) -> Result<(), StoreError> {
        let same =
            std::fs::metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode));
        if same { Ok(()) } else { Err(StoreError::Moved { path: self.path.clone() }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_moved_deleted_or_replaced_is_missed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        std::fs::write(&path, "one").unwrap();
        let place = Place::of(&path).unwrap();
        place.still_holds().unwrap();
        std::fs::write(&path, "one, and more").unwrap();
        place.still_holds().unwrap();
        std::fs::rename(&path, folder.path().join("b.db")).unwrap();
        assert!(matches!(place.still_holds(), Err(StoreError::Moved { .. })));
        std::fs::write(&path, "another").unwrap();
        assert!(matches!(place.still_holds(), Err(StoreError::Moved { .. })));
        std::fs::rename(folder.path().join("b.db"), &path).unwrap();
        place.still_holds().unwrap();
    }
}
