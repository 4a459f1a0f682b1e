//! The folder of an export: it has its name only when it is whole.
//!
//! Files are made in `.NAME.part` beside the target, closed to others like the store. A lock on that folder tells a part
//! that is being written from one that a killed process left behind, which the next export removes. The lock is on the
//! folder itself and goes with it when it is renamed: nobody takes for a leftover what is about to get its name.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::ExportError;
use super::manifest::Manifest;
use crate::store::VIEWS;
use crate::store::failpoint::failpoint;

/// What says of a folder that it is an export, and whole.
pub(super) const MANIFEST: &str = "export.json";

/// An export under way.
#[derive(Debug)]
pub(super) struct Folder {
    part: PathBuf,
    target: PathBuf,
    /// Held while the part is written; the operating system lets go of it however the process ends.
    _lock: File,
}

impl Folder {
    /// Begins an export to `target`, unless something stands there that must stay.
    pub(super) fn begin(target: &Path, replace: bool) -> Result<Self, ExportError> {
        let part = beside(target, "part")?;
        // Of one name with a leftover, and somebody's: it stays as it is.
        only_ours(&part)?;
        only_ours(&beside(target, "old")?)?;
        let fresh = DirBuilder::new().mode(0o700).create(&part);
        match fresh {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && part.is_dir() && !part.is_symlink() => {}
            Err(error) => return Err(ExportError::at(&part)(error)),
        }
        let lock = File::open(&part).map_err(ExportError::at(&part))?;
        // Some network file systems lock no folders; two exports to one place at once are rarer still.
        let taken = matches!(lock.try_lock(), Err(TryLockError::WouldBlock));
        let same = lock.metadata().ok().zip(part.metadata().ok()).is_some_and(|(one, other)| one.ino() == other.ino());
        if taken || !same {
            return Err(ExportError::Busy { folder: target.to_owned() });
        }
        let folder = Self { part, target: target.to_owned(), _lock: lock };
        match folder.clear().and_then(|()| look_at(target, replace)) {
            Ok(()) => Ok(folder),
            Err(error) => {
                folder.abandon();
                Err(error)
            }
        }
    }

    /// Sees to what killed processes left behind: half of an export, or an earlier one on its way out.
    fn clear(&self) -> Result<(), ExportError> {
        for entry in std::fs::read_dir(&self.part).map_err(ExportError::at(&self.part))?.flatten() {
            remove(&entry.path()).map_err(ExportError::at(&entry.path()))?;
        }
        let old = beside(&self.target, "old")?;
        if !old.is_dir() {
            return Ok(());
        }
        // It made way for one that did not come; without its manifest it was being removed for one that did.
        let whole = old.join(MANIFEST).is_file();
        let seen_to = if self.target.exists() || !whole { remove(&old) } else { std::fs::rename(&old, &self.target) };
        seen_to.map_err(ExportError::at(&old))
    }

    /// Makes a file for its owner alone, with the folders that it stands in.
    pub(super) fn create(&self, relative: &str) -> Result<BufWriter<File>, ExportError> {
        let path = self.path(relative);
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(ExportError::at(folder))?;
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        Ok(BufWriter::with_capacity(256 * 1024, file.map_err(ExportError::at(&path))?))
    }

    /// Where a file stands while the export is written.
    pub(super) fn path(&self, relative: &str) -> PathBuf {
        self.part.join(relative)
    }

    /// Sees that a file is on the disk, and says how large it is.
    pub(super) fn close(&self, relative: &str, file: BufWriter<File>) -> Result<u64, ExportError> {
        let path = self.path(relative);
        let file = file.into_inner().map_err(|error| ExportError::at(&path)(error.into_error()))?;
        file.sync_all().map_err(ExportError::at(&path))?;
        Ok(file.metadata().map_err(ExportError::at(&path))?.len())
    }

    /// Writes what the export is: the last file.
    pub(super) fn write_manifest(&self, manifest: &Manifest) -> Result<(), ExportError> {
        let mut file = self.create(MANIFEST)?;
        let json = serde_json::to_string_pretty(manifest).unwrap_or_default();
        file.write_all(json.as_bytes())
            .and_then(|()| file.write_all(b"\n"))
            .map_err(ExportError::at(&self.path(MANIFEST)))?;
        self.close(MANIFEST, file).map(drop)
    }

    /// Removes what was made so far.
    pub(super) fn abandon(self) {
        if let Err(error) = remove(&self.part) {
            tracing::warn!(part = %self.part.display(), %error, "what is left of the export could not be removed");
        }
    }

    /// Gives the export its name; an earlier one makes way, and is removed then.
    pub(super) fn finish(self) -> Result<(), ExportError> {
        let place = || -> std::io::Result<()> {
            let old = beside(&self.target, "old").map_err(|error| std::io::Error::other(error.to_string()))?;
            if self.target.join(MANIFEST).exists() {
                std::fs::rename(&self.target, &old)?;
                failpoint!("export.made_way");
                if let Err(error) = std::fs::rename(&self.part, &self.target) {
                    std::fs::rename(&old, &self.target)?;
                    return Err(error);
                }
                remove(&old)?;
            } else {
                // An empty folder makes way by itself; one that was filled meanwhile does not.
                std::fs::rename(&self.part, &self.target)?;
            }
            let folder = self.target.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        };
        place().map_err(|error| {
            drop(remove(&self.part));
            ExportError::at(&self.target)(error)
        })
    }
}

/// Refuses a folder that holds anything but an earlier export.
fn look_at(target: &Path, replace: bool) -> Result<(), ExportError> {
    let taken = |found: &Path| ExportError::Taken { folder: target.to_owned(), found: found.display().to_string() };
    if target.is_symlink() {
        return Err(ExportError::Taken { folder: target.to_owned(), found: "a symbolic link".to_owned() });
    }
    if !target.exists() {
        return Ok(());
    }
    if !target.is_dir() {
        return Err(ExportError::Taken { folder: target.to_owned(), found: "a file".to_owned() });
    }
    let mut empty = true;
    let is_export = target.join(MANIFEST).is_file();
    if let Some(stranger) = stranger(target, target, &mut empty).map_err(ExportError::at(target))? {
        return Err(taken(&stranger));
    }
    match (empty, is_export, replace) {
        (true, _, _) | (_, true, true) => Ok(()),
        (false, true, false) => Err(ExportError::Exists { folder: target.to_owned() }),
        (false, false, _) => Err(taken(Path::new(&format!("there is no {MANIFEST}")))),
    }
}

/// Refuses where a folder beside the target holds what no export made.
fn only_ours(folder: &Path) -> Result<(), ExportError> {
    let taken = |found: String| ExportError::Taken { folder: folder.to_owned(), found };
    if folder.is_symlink() || (folder.exists() && !folder.is_dir()) {
        return Err(taken("no folder of chatloom's".to_owned()));
    }
    if !folder.exists() {
        return Ok(());
    }
    match stranger(folder, folder, &mut true).map_err(ExportError::at(folder))? {
        Some(found) => Err(taken(found.display().to_string())),
        None => Ok(()),
    }
}

/// The first file in a folder that no export makes: it is somebody's, and a replaced export would take it along.
fn stranger(root: &Path, folder: &Path, empty: &mut bool) -> std::io::Result<Option<PathBuf>> {
    for entry in std::fs::read_dir(folder)? {
        let (entry, path) = entry.map(|entry| (entry.file_type(), entry.path()))?;
        *empty = false;
        if entry?.is_dir() {
            if let Some(found) = stranger(root, &path, empty)? {
                return Ok(Some(found));
            }
        } else if !path.strip_prefix(root).ok().and_then(Path::to_str).is_some_and(is_ours) {
            return Ok(Some(path.strip_prefix(root).unwrap_or(&path).to_owned()));
        }
    }
    Ok(None)
}

/// Whether an export gives a file this name.
fn is_ours(relative: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = relative.split('/').collect();
    let stem = |name: &str| VIEWS.iter().any(|view| view.name == name);
    match parts.as_slice() {
        [MANIFEST | "index.html"] => true,
        [name] => match name.rsplit_once('.') {
            Some((name, "csv" | "jsonl" | "parquet")) => stem(name),
            Some((name, "html")) => name.strip_prefix("index-").is_some_and(digits),
            _ => false,
        },
        ["conversations", thousand, name] if digits(thousand) => name.strip_suffix(".html").is_some_and(digits),
        [view, source, month, name] => {
            stem(view)
                && source.starts_with("source=")
                && month.starts_with("month=")
                && name.strip_prefix("part-").and_then(|name| name.strip_suffix(".parquet")).is_some_and(digits)
        }
        _ => false,
    }
}

/// `.NAME.part` beside a folder: on the same disk, or it could not be given its name in one step.
fn beside(target: &Path, what: &str) -> Result<PathBuf, ExportError> {
    let unnamed = || ExportError::Unwritable { path: target.to_owned(), cause: "it has no name of its own".to_owned() };
    let name = target.file_name().ok_or_else(unnamed)?;
    let mut part = std::ffi::OsString::from(".");
    part.push(name);
    part.push(".");
    part.push(what);
    Ok(target.with_file_name(part))
}

fn remove(path: &Path) -> std::io::Result<()> {
    if path.is_dir() && !path.is_symlink() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_an_export_gives_are_its_own() {
        for ours in [
            "export.json",
            "messages.csv",
            "people.parquet",
            "index.html",
            "index-12.html",
            "conversations/0/12.html",
            "messages/source=a/month=2026-03/part-0000.parquet",
        ] {
            assert!(is_ours(ours), "{ours}");
        }
        for other in [
            "notes.txt",
            "other.csv",
            "index-x.html",
            "conversations/12.html",
            "conversations/0/x.html",
            "messages/source=a/month=2026-03/mine.parquet",
            "deep/messages.csv",
        ] {
            assert!(!is_ours(other), "{other}");
        }
    }

    #[test]
    fn what_somebody_put_there_stays() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("out");
        std::fs::create_dir(&target).unwrap();
        Folder::begin(&target, false).unwrap().abandon();
        std::fs::write(target.join(MANIFEST), "{}").unwrap();
        assert!(matches!(Folder::begin(&target, false), Err(ExportError::Exists { .. })));
        Folder::begin(&target, true).unwrap().abandon();
        std::fs::write(target.join("notes.txt"), "mine").unwrap();
        assert!(matches!(Folder::begin(&target, true), Err(ExportError::Taken { .. })));
        std::os::unix::fs::symlink(&target, home.path().join("link")).unwrap();
        assert!(matches!(Folder::begin(&home.path().join("link"), true), Err(ExportError::Taken { .. })));
    }

    #[test]
    fn what_has_the_name_of_a_leftover_and_is_none_stays() {
        for what in [".out.part", ".out.old"] {
            let home = tempfile::tempdir().unwrap();
            let (target, mine) = (home.path().join("out"), home.path().join(what));
            std::fs::create_dir(&mine).unwrap();
            std::fs::write(mine.join("mine.txt"), "mine").unwrap();
            assert!(matches!(Folder::begin(&target, true), Err(ExportError::Taken { .. })), "{what}");
            assert!(mine.join("mine.txt").exists() && !target.exists(), "{what}");
        }
    }

    #[test]
    fn two_at_once_are_told_apart_from_what_was_left_behind() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("out");
        let first = Folder::begin(&target, false).unwrap();
        drop(first.create("messages.csv").unwrap());
        assert!(matches!(Folder::begin(&target, false), Err(ExportError::Busy { .. })));
        // Killed: the lock is gone, the part is not.
        drop(first);
        assert!(home.path().join(".out.part/messages.csv").exists());
        let second = Folder::begin(&target, false).unwrap();
        assert!(!home.path().join(".out.part/messages.csv").exists() && !target.exists());
        second.finish().unwrap();
        assert!(target.is_dir() && !home.path().join(".out.part").exists());
    }

    #[test]
    fn an_earlier_export_that_made_way_in_vain_comes_back() {
        let home = tempfile::tempdir().unwrap();
        let (target, old) = (home.path().join("out"), home.path().join(".out.old"));
        std::fs::create_dir(&old).unwrap();
        std::fs::write(old.join(MANIFEST), "{}").unwrap();
        assert!(matches!(Folder::begin(&target, false), Err(ExportError::Exists { .. })));
        assert!(target.join(MANIFEST).exists() && !old.exists() && !home.path().join(".out.part").exists());
    }
}
