//! Keys and tokens: from the file, from the environment, or from a file of their own.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::env::Env;
use super::problem::Complaint;

/// No key is longer; a larger file is something else.
const MAX_BYTES: u64 = 64 * 1024;

/// Checks a key: printable ASCII without spaces, after line ends at its end were dropped.
pub(super) fn key(text: &str) -> Result<SecretString, Complaint> {
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(Complaint::new("the key is empty"));
    }
    if text.chars().any(char::is_control) {
        return Err(Complaint::new("the key has control characters or line breaks inside")
            .suggest("it must be the key alone, on one line"));
    }
    if !text.chars().all(|c| c.is_ascii_graphic()) {
        return Err(Complaint::new("the key has spaces or characters outside ASCII in it")
            .suggest("copy it again, without quotes, prefix or spaces around it"));
    }
    Ok(SecretString::from(text))
}

/// Reads a key from the environment variable of this name.
pub(super) fn from_env(name: &str, env: &Env) -> Result<SecretString, Complaint> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(Complaint::new("that is not the name of an environment variable"));
    }
    let Some(value) = env.get(name) else {
        if looks_like_a_key(name) {
            return Err(Complaint::new("no environment variable of that name is set, and it looks like a key itself")
                .suggest("api_key_env takes the NAME of a variable, such as \"BD_API_KEY\""));
        }
        return Err(Complaint::new(format!("the environment variable {} is not set, or empty", name.escape_debug()))
            .suggest("set it, or use api_key_file"));
    };
    let text = value.to_str().ok_or_else(|| Complaint::new("the variable's value is not text"))?;
    key(text)
}

/// Reads a key from a file, and says which one it was. A relative path is looked for in `$CREDENTIALS_DIRECTORY`
/// first (where systemd puts what `LoadCredential=` names), then beside the configuration file.
///
/// Credentials have no folders: where `LoadCredential=keys:FOLDER` names a whole one, systemd puts its file `zaia.key` at
/// `keys_zaia.key`. So `keys/zaia.key` is found there as well, and one configuration serves the service and a shell.
pub(super) fn from_file(written: &str, folder: &Path, env: &Env) -> Result<(SecretString, PathBuf), Complaint> {
    if written.is_empty() || written.chars().any(char::is_control) {
        return Err(Complaint::new("that is not a path"));
    }
    let credentials = env.get("CREDENTIALS_DIRECTORY").map(Path::new);
    let beside = folder.join(written);
    let flat = || Path::new(written).is_relative().then(|| written.replace('/', "_"));
    let names = [Some(written.to_owned()), flat()];
    let mut handed = credentials.iter().flat_map(|folder| names.iter().flatten().map(|name| folder.join(name)));
    let path = handed.find(|credential| credential.symlink_metadata().is_ok()).unwrap_or(beside);
    let failed = |error: std::io::Error| {
        if error.kind() != std::io::ErrorKind::NotFound {
            let complaint = Complaint::new(format!("cannot read {}: {error}", path.display()));
            if error.kind() == std::io::ErrorKind::PermissionDenied && credentials.is_some() {
                return complaint
                    .suggest("systemd hands keys over when it starts a unit: start it again after adding one");
            }
            return complaint;
        }
        if looks_like_a_key(written) {
            return Complaint::new("there is no file of that name, and it looks like a key itself")
                .suggest("this takes the PATH of a file that holds the key");
        }
        let also = match credentials {
            Some(folder) if Path::new(written).is_relative() => format!(", nor in {}", folder.display()),
            _ => String::new(),
        };
        Complaint::new(format!("there is no file {}{also}", path.display()))
    };
    let is_credential = credentials.is_some_and(|folder| lies_in(&path, folder));
    let link = std::fs::symlink_metadata(&path).map_err(failed)?;
    if link.is_symlink() && !is_credential {
        // Whoever may change the link decides what is read, and the rights of the file behind it say nothing of them.
        let complaint = Complaint::new(format!("{} is a symbolic link", path.display()));
        return Err(complaint.suggest("name the file itself"));
    }
    // Asked before it is opened: opening a pipe could wait for ever.
    if !std::fs::metadata(&path).map_err(failed)?.is_file() {
        return Err(Complaint::new(format!("{} is not a regular file", path.display())));
    }
    let file = File::open(&path).map_err(failed)?;
    if !is_credential {
        private(&path, &file, &link)?;
    }
    let bytes = whole(file, MAX_BYTES).map_err(failed)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_BYTES {
        return Err(Complaint::new(format!("{} is larger than 64 KiB: that is no key", path.display())));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| Complaint::new(format!("{} is not text", path.display())))?;
    match key(text) {
        Ok(key) => Ok((key, path)),
        Err(complaint) => Err(Complaint { message: format!("{}: {}", path.display(), complaint.message), ..complaint }),
    }
}

/// Whether a path stays inside a folder by its spelling alone.
fn lies_in(path: &Path, folder: &Path) -> bool {
    !folder.as_os_str().is_empty()
        && path
            .strip_prefix(folder)
            .is_ok_and(|rest| rest.components().all(|part| matches!(part, Component::Normal(_))))
}

/// Reads a file, at most one byte more than `limit`, into memory that is wiped when it is dropped. The memory is as large
/// as the file from the start: one that grows leaves copies behind.
pub(super) fn whole(mut file: File, limit: u64) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let most = limit.saturating_add(1);
    let expected = file.metadata()?.len().saturating_add(1).min(most);
    let mut bytes = Zeroizing::new(vec![0; usize::try_from(expected).unwrap_or(0)]);
    let mut filled = 0;
    loop {
        if filled == bytes.len() {
            // It grew while it was read, or it is no ordinary file.
            let larger = bytes.len().saturating_mul(2).max(64).min(usize::try_from(most).unwrap_or(usize::MAX));
            if larger == filled {
                break;
            }
            let mut more = Zeroizing::new(vec![0; larger]);
            more.get_mut(..filled).unwrap_or_default().copy_from_slice(&bytes);
            bytes = more;
        }
        match file.read(bytes.get_mut(filled..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// `link` is what stood there before the file was opened.
#[cfg(unix)]
fn private(path: &Path, file: &File, link: &std::fs::Metadata) -> Result<(), Complaint> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let metadata =
        file.metadata().map_err(|error| Complaint::new(format!("cannot read {}: {error}", path.display())))?;
    if (metadata.dev(), metadata.ino()) != (link.dev(), link.ino()) {
        return Err(Complaint::new(format!("{} was replaced while it was being opened", path.display())));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let complaint = Complaint::new(format!("{} is open to group or others (mode {mode:03o})", path.display()));
    Err(complaint.suggest(format!("chmod 600 {}", path.display())))
}

#[cfg(not(unix))]
fn private(_path: &Path, _file: &File, _link: &std::fs::Metadata) -> Result<(), Complaint> {
    Ok(())
}

/// Whether something that should be a name was more likely meant to be a key, and so must not be shown.
fn looks_like_a_key(text: &str) -> bool {
    let long = text.chars().count() >= 20;
    let file_like =
        text.contains(['/', '\\']) || Path::new(text).extension().and_then(OsStr::to_str).is_some_and(|e| e.len() <= 5);
    long && !file_like
        && text.chars().any(|c| c.is_ascii_digit())
        && text.chars().any(|c| c.is_ascii_lowercase() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    /// A folder with a key file of this content and mode.
    fn folder_with(name: &str, content: &[u8], mode: u32) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), name, content, mode);
        folder
    }

    fn put(folder: &Path, name: &str, content: &[u8], mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn empty_env() -> Env {
        Env::default()
    }

    #[test]
    fn line_ends_at_the_end_do_not_belong_to_a_key() {
        for content in ["k3y", "k3y\n", "k3y\r\n", "k3y\n\n"] {
            let folder = folder_with("zaia.key", content.as_bytes(), 0o600);
            let (key, path) = from_file("zaia.key", folder.path(), &empty_env()).unwrap();
            assert_eq!(key.expose_secret(), "k3y");
            assert_eq!(path, folder.path().join("zaia.key"));
        }
    }

    #[test]
    fn files_that_hold_no_key_are_refused() {
        let large = vec![b'x'; 65 * 1024];
        for (content, part) in [
            (b"".as_slice(), "empty"),
            (b"\n", "empty"),
            (b"two\nlines\n", "control"),
            (b"tab\there", "control"),
            (b"nul\0", "control"),
            (b"\xff\xfe\x00", "not text"),
            (b"with space", "spaces"),
            (" k3y".as_bytes(), "spaces"),
            ("schlüssel".as_bytes(), "ASCII"),
            (&large, "64 KiB"),
        ] {
            let folder = folder_with("a.key", content, 0o600);
            let complaint = from_file("a.key", folder.path(), &empty_env()).unwrap_err();
            assert!(complaint.message.contains(part), "{part}: {}", complaint.message);
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a.key")).unwrap();
        let complaint = from_file("a.key", folder.path(), &empty_env()).unwrap_err();
        assert!(complaint.message.contains("not a regular file"));
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_with_the_command_that_mends_it() {
        for mode in [0o640, 0o604, 0o620, 0o644] {
            let folder = folder_with("a.key", b"k3y", mode);
            let complaint = from_file("a.key", folder.path(), &empty_env()).unwrap_err();
            assert!(complaint.suggestion.unwrap().starts_with("chmod 600 "), "{mode:o}");
        }
        let folder = folder_with("a.key", b"k3y", 0o400);
        assert!(from_file("a.key", folder.path(), &empty_env()).is_ok());
    }

    #[test]
    fn a_link_is_no_key_file_and_a_file_that_grows_is_read_whole() {
        let folder = folder_with("a.key", b"k3y", 0o600);
        std::os::unix::fs::symlink("a.key", folder.path().join("b.key")).unwrap();
        let complaint = from_file("b.key", folder.path(), &empty_env()).unwrap_err();
        assert!(complaint.message.contains("symbolic link"), "{complaint:?}");
        // Where systemd put the link, it is as good as the file.
        let env = Env::from_pairs([("CREDENTIALS_DIRECTORY", folder.path())]);
        assert_eq!(from_file("b.key", Path::new("/nowhere"), &env).unwrap().0.expose_secret(), "k3y");

        // A file that says it is empty, and is not.
        let read = whole(File::open("/proc/self/status").unwrap(), 1024 * 1024).unwrap();
        assert!(read.starts_with(b"Name:") && read.ends_with(b"\n"));
        assert_eq!(
            whole(File::open("/proc/self/status").unwrap(), 99).unwrap().len(),
            100,
            "one byte beyond the limit"
        );
    }

    #[test]
    fn systemd_credentials_come_first_and_keep_their_modes() {
        let beside = folder_with("a.key", b"beside", 0o600);
        put(beside.path(), "b.key", b"beside-b", 0o644);
        let credentials = folder_with("a.key", b"credential", 0o444);
        let env = Env::from_pairs([("CREDENTIALS_DIRECTORY", credentials.path())]);
        let read = |written: &str| from_file(written, beside.path(), &env);

        assert_eq!(read("a.key").unwrap().0.expose_secret(), "credential");
        let absolute = credentials.path().join("a.key");
        assert_eq!(read(absolute.to_str().unwrap()).unwrap().1, absolute);
        assert!(read("b.key").unwrap_err().message.contains("mode 644"), "only credentials are let off");
        let missing = read("c.key").unwrap_err().message;
        assert!(missing.contains("nor in"), "{missing}");

        put(credentials.path(), "keys_d.key", b"of-a-folder", 0o440);
        assert_eq!(read("keys/d.key").unwrap().0.expose_secret(), "of-a-folder");
        assert!(read("/keys/d.key").is_err(), "an absolute path is meant as it stands");

        let around = format!("../{}/b.key", beside.path().file_name().unwrap().to_str().unwrap());
        assert!(read(&around).unwrap_err().message.contains("mode 644"), "the way out of the folder is not let off");
    }

    #[test]
    fn variables_must_be_set_and_hold_a_key() {
        let env = Env::from_pairs([("GOOD", "k3y\n"), ("EMPTY", ""), ("SPACED", "Bearer k3y")]);
        assert_eq!(from_env("GOOD", &env).unwrap().expose_secret(), "k3y");
        assert!(from_env("EMPTY", &env).unwrap_err().message.contains("EMPTY"));
        assert!(from_env("ABSENT", &env).unwrap_err().message.contains("ABSENT"));
        assert!(from_env("SPACED", &env).unwrap_err().message.contains("spaces"));
        assert!(from_env("", &env).is_err());
    }

    #[test]
    fn a_key_written_where_a_name_belongs_is_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        for pasted in ["sgpt_4f9a8b7c6d5e4f3a2b1c", "3F2504E0-4F89-11D3-9A0C-0305E82C3301"] {
            for complaint in [
                from_env(pasted, &empty_env()).unwrap_err(),
                from_file(pasted, folder.path(), &empty_env()).unwrap_err(),
            ] {
                assert!(!format!("{complaint:?}").contains(pasted));
            }
        }
    }
}
