//! Why an export was not made.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// A failure of an export, each with the next step.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A range of time was given for a view that has none.
    #[error("`{view}` counts over all time: it cannot be exported with --since or --until; leave it out of --what")]
    NoTime { view: &'static str },
    /// A source was given for a view that counts over all of them.
    #[error("`{view}` counts over all sources: it cannot be exported with --source; leave it out of --what")]
    NoSource { view: &'static str },
    /// Something else stands where the export should.
    #[error(
        "{folder} holds something that is no export of chatloom ({found}); nothing was touched: name another folder with --to"
    )]
    Taken { folder: PathBuf, found: String },
    /// An earlier export stands there.
    #[error("{folder} holds an earlier export; --replace puts the new one in its place, --to names another folder")]
    Exists { folder: PathBuf },
    /// Another process writes there.
    #[error("another export to {folder} is under way; wait for it, or name another folder with --to")]
    Busy { folder: PathBuf },
    /// The disk is full.
    #[error(
        "the disk that holds {folder} is full; nothing is left of this export: free some space, or export elsewhere with --to"
    )]
    Full { folder: PathBuf },
    /// It cannot be written.
    #[error(
        "cannot write {path}: {cause}; nothing is left of this export: check the folder, and that this user may write there"
    )]
    Unwritable { path: PathBuf, cause: String },
    /// It was told to stop.
    #[error("stopped; nothing is left of this export")]
    Stopped,
}

impl ExportError {
    /// Names the file that could not be written.
    pub(super) fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |error| match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                Self::Full { folder: path.parent().unwrap_or(path).to_owned() }
            }
            _ => Self::Unwritable { path: path.to_owned(), cause: error.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named() {
        let error = ExportError::at(Path::new("/x/messages.csv"))(std::io::Error::from(ErrorKind::StorageFull));
        assert!(error.to_string().starts_with("the disk that holds /x is full"), "{error}");
    }
}
