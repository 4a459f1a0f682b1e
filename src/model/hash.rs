//! Change detection: one 64-bit hash over the parts of a row, the same on every machine and in every version.

use std::hash::Hasher as _;

/// A hash of the fields by which a list row tells that its conversation changed.
pub type Fingerprint = i64;

/// Hashes a sequence of optional fields without ambiguity (`None`, `""` and `"a" + "b"` all differ).
///
/// XXH3 is used for its stable definition: the values are stored, and compared by later versions.
pub struct Hasher(twox_hash::XxHash3_64);

impl Default for Hasher {
    fn default() -> Self {
        Self(twox_hash::XxHash3_64::with_seed(0))
    }
}

impl Hasher {
    /// Starts with nothing hashed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text field.
    pub fn text(&mut self, value: Option<&str>) -> &mut Self {
        match value {
            None => self.0.write(&[0]),
            Some(text) => {
                self.0.write(&[1]);
                self.0.write(&(text.len() as u64).to_le_bytes());
                self.0.write(text.as_bytes());
            }
        }
        self
    }

    /// Adds a number, a time or a flag.
    pub fn number(&mut self, value: Option<i64>) -> &mut Self {
        match value {
            None => self.0.write(&[0]),
            Some(number) => {
                self.0.write(&[2]);
                self.0.write(&number.to_le_bytes());
            }
        }
        self
    }

    /// The hash, as SQLite stores it.
    #[must_use]
    pub fn finish(&self) -> i64 {
        self.0.finish().cast_signed()
    }

    /// The hash of one byte string, used for raw records.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> i64 {
        twox_hash::XxHash3_64::oneshot(bytes).cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use super::Hasher;

    #[test]
    fn neighbouring_fields_do_not_run_together() {
        let pair = |a: Option<&str>, b: Option<&str>| Hasher::new().text(a).text(b).finish();
        assert_ne!(pair(Some("a"), Some("b")), pair(Some("ab"), Some("")));
        assert_ne!(pair(None, Some("")), pair(Some(""), None));
        assert_ne!(Hasher::new().number(Some(0)).finish(), Hasher::new().number(None).finish());
    }

    #[test]
    fn the_hash_is_the_same_in_every_version() {
        assert_eq!(Hasher::of_bytes(b"chatloom"), Hasher::of_bytes(b"chatloom"));
        assert_eq!(Hasher::of_bytes(b""), 0x2D06_8005_38D3_94C2_u64.cast_signed());
    }
}
