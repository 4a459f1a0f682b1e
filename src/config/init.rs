//! `chatloom init`: writing the commented template.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::env::Env;

/// The template, which is also the lowest layer of every configuration.
pub const DEFAULT_TOML: &str = include_str!("../../config/default.toml");

/// Why no configuration file was written.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// Somebody's work may be in it.
    #[error("{} is already there and stays as it is; name another file with --config, or move it away", path.display())]
    Exists { path: PathBuf },
    /// The template did not get there.
    #[error("cannot write {}: {cause}; check its folder, and that this user may write there", path.display())]
    Write { path: PathBuf, cause: io::Error },
}

/// Where `init` writes: the file named, else `CHATLOOM_CONFIG`, else `chatloom.toml` in the current folder.
#[must_use]
pub fn init_target(explicit: Option<&Path>) -> PathBuf {
    match explicit {
        Some(path) => path.to_owned(),
        None => PathBuf::from(Env::process().get("CHATLOOM_CONFIG").unwrap_or(OsStr::new("chatloom.toml"))),
    }
}

/// Writes the template to a new file that only its owner can read.
///
/// # Errors
/// The file exists (it is not touched), or cannot be written.
pub fn init(path: &Path) -> Result<(), InitError> {
    let failed = |cause: io::Error| match cause.kind() {
        io::ErrorKind::AlreadyExists => InitError::Exists { path: path.to_owned() },
        _ => InitError::Write { path: path.to_owned(), cause },
    };
    let mut file = create(path).map_err(failed)?;
    if let Err(cause) = file.write_all(DEFAULT_TOML.as_bytes()).and_then(|()| file.sync_all()) {
        // Half a template would keep the next attempt from writing a whole one; the first failure is what counts.
        drop(std::fs::remove_file(path));
        return Err(failed(cause));
    }
    Ok(())
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    // Keys may be written into it later.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_written_once_and_never_over_anything() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chatloom.toml");
        init(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), DEFAULT_TOML);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }

        std::fs::write(&path, "mine").unwrap();
        let refused = init(&path).unwrap_err();
        assert!(matches!(refused, InitError::Exists { .. }));
        assert!(refused.to_string().contains("already there"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nowhere").join("chatloom.toml");
        let error = init(&path).unwrap_err();
        assert!(matches!(error, InitError::Write { .. }));
        assert!(error.to_string().contains("nowhere"));
    }
}
