//! A small pseudo-random generator, so that made-up data is the same on every machine.

/// SplitMix64 (Steele, Lea and Flood, 2014): the whole state is one number, any seed is a good one.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// Starts from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from `low` to `high`, both included; `low` when the range is empty.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let Ok(width) = u64::try_from(high.saturating_sub(low)) else { return low };
        // The slight bias of a remainder does not matter for made-up data.
        low.saturating_add_unsigned(self.bits() % width.saturating_add(1))
    }

    /// True `percent` times in a hundred.
    pub fn chance(&mut self, percent: i64) -> bool {
        self.between(1, 100) <= percent
    }

    /// One of the items; `None` of none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let last = i64::try_from(items.len()).unwrap_or(i64::MAX).saturating_sub(1);
        let index = self.between(0, last);
        usize::try_from(index).ok().and_then(|index| items.get(index))
    }

    /// One of the words; the empty text of none.
    pub fn word(&mut self, words: &[&'static str]) -> &'static str {
        self.pick(words).copied().unwrap_or_default()
    }
}

/// 32 hexadecimal digits that belong to `seed`.
pub(super) fn hex32(seed: u64) -> String {
    let mut rng = Rng::new(seed);
    format!("{:016x}{:016x}", rng.bits(), rng.bits())
}

/// A version 4 UUID that belongs to `seed`.
pub(super) fn uuid(seed: u64) -> String {
    let mut rng = Rng::new(seed);
    let (a, b) = (rng.bits(), rng.bits());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        a >> 32,
        (a >> 16) & 0xffff,
        a & 0xfff,
        0x8000 | (b >> 50) & 0x3fff,
        b & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::{Rng, hex32, uuid};

    #[test]
    fn one_seed_always_gives_one_sequence() {
        let first: Vec<u64> = std::iter::repeat_with({
            let mut rng = Rng::new(0);
            move || rng.bits()
        })
        .take(2)
        .collect();
        // The reference implementation's first outputs for seed 0.
        assert_eq!(first, [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4]);
        assert_eq!(hex32(7), hex32(7));
        assert_ne!(uuid(1), uuid(2));
    }

    #[test]
    fn ranges_keep_their_bounds_and_empty_ones_do_no_harm() {
        let mut rng = Rng::new(3);
        assert!((0..1000).map(|_| rng.between(-2, 2)).all(|n| (-2..=2).contains(&n)));
        assert_eq!(rng.between(5, 1), 5);
        assert_eq!(rng.pick::<u8>(&[]), None);
        assert_eq!(rng.word(&[]), "");
    }

    #[test]
    fn a_uuid_looks_like_version_four() {
        let id = uuid(42);
        assert_eq!(id.len(), 36);
        assert_eq!(id.chars().nth(14), Some('4'));
        assert!(id.chars().nth(19).is_some_and(|c| "89ab".contains(c)));
    }
}
