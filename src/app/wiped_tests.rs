//! Keys are gone from memory when whoever used them is.
//!
//! The process reads its own memory, freed parts included. What it looks for is only ever written down masked, so that
//! the search does not find itself.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::build::client;
use crate::config::{Env, load_with};
use crate::http::Pacer;

const MASK: u8 = 0x5a;

/// A key, masked. Its middle is looked for: an allocator writes over the beginning of what is freed, and what is left
/// of a buffer that grew lacks the end.
struct Masked(Vec<u8>);

impl Masked {
    /// One that no other test has.
    fn new(seed: u8) -> Self {
        const LETTERS: &[u8] = b"qwertyuiopasdfghjklzxcvbnm7391";
        let letter = |n: u8| LETTERS[usize::from(n.wrapping_mul(seed).wrapping_add(n / 3)) % LETTERS.len()];
        Self((0..60).map(|n| letter(n) ^ MASK).collect())
    }

    fn reveal(&self) -> Zeroizing<String> {
        let mut key = Zeroizing::new(String::with_capacity(self.0.len()));
        self.0.iter().for_each(|byte| key.push(char::from(byte ^ MASK)));
        key
    }

    /// How often it stands in the writable memory of this process.
    fn copies(&self) -> usize {
        let needle = &self.0[24..52];
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let mut memory = File::open("/proc/self/mem").unwrap();
        let mut buffer = vec![0; 1024 * 1024];
        let mut found = 0;
        for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|mode| mode.starts_with("rw"))) {
            let (from, rest) = line.split_once('-').unwrap();
            let until = rest.split(' ').next().unwrap();
            let [mut at, until] = [from, until].map(|hex| u64::from_str_radix(hex, 16).unwrap());
            while at < until {
                let length = usize::try_from((until - at).min(1024 * 1024)).unwrap();
                // Regions come and go while other tests run.
                if memory.seek(SeekFrom::Start(at)).is_err() || memory.read_exact(&mut buffer[..length]).is_err() {
                    break;
                }
                let first = needle[0] ^ MASK;
                let places = memchr::memchr_iter(first, &buffer[..length]);
                let is_here = |start: usize| {
                    let window = buffer.get(start..start + needle.len()).unwrap_or_default();
                    !window.is_empty() && window.iter().zip(needle).all(|(byte, masked)| byte ^ MASK == *masked)
                };
                found += places.filter(|start| is_here(*start)).count();
                at += u64::try_from(length).unwrap();
            }
        }
        // What was read is not to be found the next time.
        zeroize::Zeroize::zeroize(&mut buffer);
        found
    }
}

fn write_configuration(folder: &Path, key: &str) {
    let text = format!("[[sources]]\nname = \"agents\"\nprovider = \"zaia\"\nauth_prefix = \"Bearer\"\n{key}\n");
    fs::write(folder.join("chatloom.toml"), text).unwrap();
}

/// Reads a configuration, makes the client of its source, looks, drops all of it, and looks again.
fn used_and_dropped(masked: &Masked, folder: &Path, env: Env) -> (usize, usize) {
    let config = load_with(None, &env, folder).unwrap();
    drop(env);
    let http = client(&config.sources[0], Arc::new(Pacer::new(60)), CancellationToken::new()).unwrap();
    let meanwhile = masked.copies();
    drop(http);
    drop(config);
    (meanwhile, masked.copies())
}

#[test]
fn a_key_from_a_file_or_a_variable_is_wiped_with_those_who_used_it() {
    let folder = tempfile::tempdir().unwrap();
    let masked = Masked::new(7);
    let file = folder.path().join("zaia.key");
    fs::write(&file, masked.reveal().as_bytes()).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    write_configuration(folder.path(), "api_key_file = \"zaia.key\"");
    let (meanwhile, afterwards) = used_and_dropped(&masked, folder.path(), Env::default());
    assert!(meanwhile > 0, "the search finds what is there");
    assert_eq!(afterwards, 0, "of a key from a file");

    let masked = Masked::new(11);
    write_configuration(folder.path(), "api_key_env = \"MY_KEY\"");
    let value = masked.reveal().as_str().to_owned();
    let (meanwhile, afterwards) = used_and_dropped(&masked, folder.path(), Env::from_pairs([("MY_KEY", value)]));
    assert!(meanwhile > 0, "the search finds what is there");
    assert_eq!(afterwards, 0, "of a key from a variable");
}
