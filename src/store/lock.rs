//! One writer at a time: a lock file beside the store that says who holds it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::StoreError;

/// Held while this process may write. The operating system lets go of it when the process ends, however it ends,
/// so a text left behind by a killed process never blocks anybody.
#[derive(Debug)]
pub struct StoreLock {
    _file: File,
}

impl StoreLock {
    /// Takes the lock, leaving word of who holds it (`who`: for instance `chatloom sync`).
    ///
    /// # Errors
    /// [`StoreError::Locked`] at once when another process holds it.
    pub fn take(store: &Path, who: &str) -> Result<Self, StoreError> {
        let path = lock_path(store);
        let unopenable =
            |cause: std::io::Error| StoreError::Unopenable { path: path.clone(), cause: cause.to_string() };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(unopenable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked { path: store.to_owned(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(cause)) => return Err(unopenable(cause)),
        }
        file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).map_err(unopenable)?;
        write!(file, "process {} ({who})", std::process::id()).and_then(|()| file.flush()).map_err(unopenable)?;
        Ok(Self { _file: file })
    }
}

/// Beside the file itself, not beside a symbolic link to it: one store under two names has one lock.
fn lock_path(store: &Path) -> PathBuf {
    let real = std::fs::canonicalize(store).unwrap_or_else(|_| store.to_owned());
    let mut name = real.into_os_string();
    name.push(".lock");
    PathBuf::from(name)
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(200).read_to_string(&mut text);
    if read.is_err() || text.trim().is_empty() { "another process".to_owned() } else { text.trim().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_writer_is_told_who_holds_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("a.db");
        let first = StoreLock::take(&store, "chatloom sync").unwrap();
        let refused = StoreLock::take(&store, "chatloom backfill").unwrap_err().to_string();
        assert!(refused.contains(&format!("process {} (chatloom sync)", std::process::id())), "{refused}");
        drop(first);
        StoreLock::take(&store, "chatloom backfill").unwrap();
    }
}
