//! Certificates of a source's own, for providers behind a private authority.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::problem::Complaint;

/// The whole of a common bundle is a quarter of this.
const MAX_BYTES: u64 = 1024 * 1024;

/// Reads a `ca_file`. A relative path is relative to the configuration file. Whether the certificates can be used is for
/// those to say who use them.
pub(super) fn read(written: &str, folder: &Path) -> Result<Vec<u8>, Complaint> {
    if written.is_empty() || written.chars().any(char::is_control) {
        return Err(Complaint::new("that is not a path"));
    }
    let path = folder.join(written);
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Complaint::new(format!("there is no file {}", path.display())),
        _ => Complaint::new(format!("cannot read {}: {error}", path.display())),
    };
    // Asked before it is opened: opening a pipe could wait for ever.
    let metadata = std::fs::metadata(&path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(Complaint::new(format!("{} is not a regular file", path.display())));
    }
    closed(&path, &metadata)?;
    let mut bytes = Vec::new();
    File::open(&path).map_err(failed)?.take(MAX_BYTES.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_BYTES {
        return Err(Complaint::new(format!("{} is larger than 1 MiB", path.display())));
    }
    let text = String::from_utf8_lossy(&bytes);
    if text.contains("PRIVATE KEY-----") {
        return Err(Complaint::new(format!("{} holds a private key", path.display()))
            .suggest("only the authority's certificate belongs there"));
    }
    if !text.contains("-----BEGIN CERTIFICATE-----") {
        return Err(Complaint::new(format!("{} holds no certificate in PEM form", path.display()))
            .suggest("openssl x509 -inform der -in FILE -out FILE.pem makes one of a binary file"));
    }
    Ok(bytes)
}

/// Whoever can write to this file can read the key on its way.
#[cfg(unix)]
fn closed(path: &Path, metadata: &std::fs::Metadata) -> Result<(), Complaint> {
    use std::os::unix::fs::PermissionsExt as _;
    if metadata.permissions().mode() & 0o002 == 0 {
        return Ok(());
    }
    Err(Complaint::new(format!("{} can be changed by everybody", path.display()))
        .suggest(format!("chmod o-w {}", path.display())))
}

#[cfg(not(unix))]
fn closed(_path: &Path, _metadata: &std::fs::Metadata) -> Result<(), Complaint> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_read_and_other_files_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        const ROOT: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let folder = tempfile::tempdir().unwrap();
        let put = |content: &str| std::fs::write(folder.path().join("root.pem"), content).unwrap();
        put(ROOT);
        assert_eq!(read("root.pem", folder.path()).unwrap(), ROOT.as_bytes());
        for (content, part) in [
            ("", "no certificate"),
            ("\u{0}\u{1}", "no certificate"),
            (&*format!("{ROOT}-----BEGIN EC PRIVATE KEY-----\n"), "private key"),
            (&*"x".repeat(1024 * 1024 + 1), "1 MiB"),
        ] {
            put(content);
            let told = read("root.pem", folder.path()).unwrap_err().message;
            assert!(told.contains(part), "{told}");
        }
        put(ROOT);
        let open = std::fs::Permissions::from_mode(0o666);
        std::fs::set_permissions(folder.path().join("root.pem"), open).unwrap();
        assert!(read("root.pem", folder.path()).unwrap_err().suggestion.unwrap().starts_with("chmod o-w "));
        for (path, part) in [("none.pem", "no file"), (".", "not a regular file"), ("", "not a path")] {
            assert!(read(path, folder.path()).unwrap_err().message.contains(part), "{path}");
        }
    }
}
