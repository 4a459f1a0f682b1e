//! What can go wrong with the file, each with the next step.

use std::path::PathBuf;

use super::patience;

/// A failure of the store. Messages name the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder that the file should stand in is missing.
    #[error("the folder of {path} does not exist; create it, or set another [store] path")]
    NoFolder { path: PathBuf },
    /// The file cannot be opened, created or written.
    #[error(
        "cannot open {path}: {cause}; check the path, and that this user may read and write the file and its folder"
    )]
    Unopenable { path: PathBuf, cause: String },
    /// There is no file yet.
    #[error("{path} does not exist yet; `chatloom sync` makes it")]
    Missing { path: PathBuf },
    /// The file is something else.
    #[error("{path} is not a chatloom store ({found}); it was left untouched: set another [store] path")]
    Foreign { path: PathBuf, found: String },
    /// A later version of chatloom wrote it.
    #[error(
        "{path} was written by a newer chatloom (schema {found}, this one knows {known}); it was left untouched: update chatloom"
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    /// An earlier version of chatloom wrote it, and it cannot be read as it is.
    #[error(
        "{path} is of an older schema ({found}, this chatloom reads {known}); the next `chatloom sync` or \
         `chatloom run` upgrades it, and keeps a copy of it first"
    )]
    Older { path: PathBuf, found: i64, known: i64 },
    /// Another process writes to it.
    #[error("{path} is being written by {holder}; wait for it to end, or stop it")]
    Locked { path: PathBuf, holder: String },
    /// The full-text index is damaged; the messages are not.
    #[error("the full-text index is damaged ({cause}); `chatloom search rebuild` makes it anew from the messages")]
    SearchIndex { cause: String },
    /// The disk is full.
    #[error(
        "the disk that holds the store is full ({doing}); nothing half-written was kept: free some space and run again"
    )]
    Full { doing: &'static str },
    /// Another program keeps the store locked.
    #[error(
        "{holder} has kept the store locked for too long ({doing}); nothing half-written was kept: end what it does there, \
         and run again"
    )]
    Busy { doing: &'static str, holder: String },
    /// The file is damaged.
    #[error(
        "the store is damaged ({doing}: {cause}); nothing more is written to it: keep it, see what `chatloom verify \
         --offline` says, and restore a copy"
    )]
    Damaged { doing: &'static str, cause: String },
    /// A copy of the store could not be made.
    #[error("no backup was made in {folder}: {cause}; check that there is room and that this user may write there")]
    NotKept { folder: PathBuf, cause: String },
    /// A source's name is taken by another provider's history.
    #[error(
        "the store holds `{name}` as a {stored} source, the configuration says {configured}; give the new source another name"
    )]
    ProviderChanged { name: String, stored: String, configured: String },
    /// A source that was named is not in the store.
    #[error("the store has no source `{name}`; it has: {known}")]
    NoSuchSource { name: String, known: String },
    /// A source's new name is another source's.
    #[error(
        "the store already has a source `{name}`, with {conversations} conversations; two histories are never mixed: choose another name"
    )]
    NameTaken { name: String, conversations: i64 },
    /// A question of a page took longer than questions may take.
    #[error("{doing}: this takes longer than {} s and was given up; ask for less", super::browse::LONGEST.as_secs())]
    TooLong { doing: &'static str },
    /// SQLite said no.
    #[error("{doing}: {source}")]
    Sql { doing: &'static str, source: rusqlite::Error },
    /// The file that is open is not the one at its path any more.
    #[error(
        "{path} was moved, deleted or replaced while it was in use; nothing more is written to it: put it back and start again"
    )]
    Moved { path: PathBuf },
    /// What SQLite keeps beside the file is not there any more.
    #[error(
        "{path}, a part of the store, was moved, deleted or replaced while it was in use; what was stored stands in the \
         store's own file, and nothing more is written: start again, and leave its parts alone"
    )]
    Torn { path: PathBuf },
    /// The writing thread is gone.
    #[error("the store's writer has ended")]
    Gone,
}

impl StoreError {
    /// Names what was being done when SQLite failed.
    pub(crate) fn sql(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full { doing },
            Some(rusqlite::ErrorCode::OperationInterrupted) => Self::TooLong { doing },
            Some(rusqlite::ErrorCode::DatabaseBusy) => Self::Busy { doing, holder: patience::holder() },
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                Self::Damaged { doing, cause: source.to_string() }
            }
            _ => Self::Sql { doing, source },
        }
    }

    /// The same failure once more, for everyone whose batch was in the transaction.
    pub(crate) fn repeat(&self) -> Self {
        match self {
            Self::Full { doing } => Self::Full { doing },
            Self::Moved { path } => Self::Moved { path: path.clone() },
            Self::Torn { path } => Self::Torn { path: path.clone() },
            Self::Busy { doing, holder } => Self::Busy { doing, holder: holder.clone() },
            Self::Damaged { doing, cause } => Self::Damaged { doing, cause: cause.clone() },
            Self::Sql { doing, source } => Self::Sql {
                doing,
                source: rusqlite::Error::SqliteFailure(
                    rusqlite::ffi::Error::new(source.sqlite_error().map_or(1, |e| e.extended_code)),
                    Some(source.to_string()),
                ),
            },
            _ => Self::Gone,
        }
    }
}
