//! What kind of disk the store lies on. SQLite's write-ahead log needs memory that all processes share and locks that
//! hold; a network file system has neither for sure.

use std::path::Path;

/// File systems whose other side is another machine.
const NETWORK: &[&str] = &[
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "fuse.glusterfs",
    "fuse.rclone",
    "fuse.s3fs",
    "fuse.sshfs",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs3",
    "nfs4",
    "smb2",
    "smb3",
    "smbfs",
];

/// The kind of network file system that a path lies on, if it does.
pub(super) fn network_file_system(path: &Path) -> Option<String> {
    #[cfg(debug_assertions)]
    if let Some(kind) = super::failpoint::faults().disk {
        return Some(kind);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = std::fs::canonicalize(folder).ok()?;
    let kind = kind_of(&std::fs::read_to_string("/proc/self/mountinfo").ok()?, &folder)?;
    NETWORK.contains(&kind.as_str()).then_some(kind)
}

/// The file system of the innermost mount above a folder, in the words of `mountinfo`. A later mount hides an earlier
/// one of the same place.
fn kind_of(mounts: &str, folder: &Path) -> Option<String> {
    let mut found: Option<(usize, &str)> = None;
    for line in mounts.lines() {
        let Some((mount, disk)) = line.split_once(" - ") else { continue };
        let (Some(place), Some(kind)) = (mount.split(' ').nth(4), disk.split(' ').next()) else { continue };
        // Blanks and the like are written as octal numbers.
        let place = place.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\");
        if folder.starts_with(&place) && found.is_none_or(|(length, _)| place.len() >= length) {
            found = Some((place.len(), kind));
        }
    }
    found.map(|(_, kind)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_counts() {
        let mounts = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
                      41 27 0:35 / /srv rw shared:1 - nfs4 files:/srv rw\n\
                      42 41 0:36 / /srv/local\\040disk rw - xfs /dev/vdb rw\nnonsense";
        let kind = |folder: &str| kind_of(mounts, Path::new(folder)).unwrap();
        assert_eq!(kind("/var/lib/chatloom"), "ext4");
        assert_eq!(kind("/srv/chats"), "nfs4");
        assert_eq!(kind("/srvother"), "ext4");
        assert_eq!(kind("/srv/local disk/chats"), "xfs");
        assert_eq!(kind_of("", Path::new("/")), None);
    }
}
