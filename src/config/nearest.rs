//! The nearest known word, for messages about unknown ones.

/// Edit distance: insertions, deletions, substitutions and swapped neighbours count one each; case counts nothing.
pub(super) fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().flat_map(char::to_lowercase).collect();
    let right: Vec<char> = right.chars().flat_map(char::to_lowercase).collect();
    // Three rows of the usual matrix: two back (for swaps), one back, current.
    let mut before: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=right.len()).collect();
    let mut left_last: Option<char> = None;
    for (row, &l) in left.iter().enumerate() {
        let mut current = vec![row.saturating_add(1)];
        let mut right_last: Option<char> = None;
        for (column, &r) in right.iter().enumerate() {
            let at = |cells: &[usize], index: usize| cells.get(index).copied().unwrap_or(usize::MAX);
            let mut best = at(&previous, column).saturating_add(usize::from(l != r));
            best = best.min(at(&previous, column.saturating_add(1)).saturating_add(1));
            best = best.min(at(&current, column).saturating_add(1));
            if left_last == Some(r) && right_last == Some(l) {
                best = best.min(at(&before, column.saturating_sub(1)).saturating_add(1));
            }
            current.push(best);
            right_last = Some(r);
        }
        before = std::mem::replace(&mut previous, current);
        left_last = Some(l);
    }
    previous.last().copied().unwrap_or(0)
}

/// A known word with the least distance (the first of equals), and whether it is near enough to be what was meant.
/// Where none is, one that has all of its parts, or that is a part of it: `token` for `token_file`, `poll_interval` for
/// `poll`.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<(&'a str, bool)> {
    // Nobody means a known word by something this long; the distance would cost its square.
    let word: String = word.chars().take(64).collect();
    let known: Vec<&str> = known.into_iter().collect();
    let far = |candidate: &&str| distance(&word, candidate);
    let found = *known.iter().min_by_key(|candidate| far(candidate))?;
    let best = distance(&word, found);
    if best <= (found.chars().count() / 3).max(2) && best < found.chars().count() {
        return Some((found, true));
    }
    // A short word that is a part of what was written (`api` of `api_token`) is rarely what was meant.
    let related = known.into_iter().filter(|known| has_parts(known, &word, 3) || has_parts(&word, known, 4));
    Some(related.min_by_key(far).map_or((found, false), |related| (related, true)))
}

/// Whether all parts of one word, with `_` between them and of `least` letters, are parts of another.
fn has_parts(word: &str, parts: &str, least: usize) -> bool {
    let has = |part: &str| word.split('_').any(|own| own.eq_ignore_ascii_case(part));
    parts.split('_').all(|part| part.chars().count() >= least && has(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_finger_cost_one() {
        for (wrong, right, cost) in [
            ("poll", "poll", 0),
            ("Poll", "poll", 0),
            ("pol", "poll", 1),
            ("polll", "poll", 1),
            ("plol", "poll", 1),
            ("pole", "poll", 1),
            ("", "poll", 4),
            ("poll", "", 4),
            ("ab", "ba", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(wrong, right), cost, "{wrong} {right}");
        }
    }

    #[test]
    fn the_nearest_word_says_whether_it_is_near() {
        let known = ["path", "poll", "provider"];
        assert_eq!(nearest("provder", known), Some(("provider", true)));
        assert_eq!(nearest("something_else", known).map(|(_, near)| near), Some(false));
        assert_eq!(nearest("x", []), None);
        assert_eq!(nearest("", known).map(|(_, near)| near), Some(false));
    }

    #[test]
    fn a_part_of_a_word_is_taken_for_it_where_nothing_is_nearer() {
        let known = ["name", "poll", "base_url", "ca_file", "api_key_file", "api_key", "token_file", "api"];
        for (wrong, meant) in [
            ("token", "token_file"),
            ("poll_interval", "poll"),
            ("key", "api_key"),
            ("key_file", "api_key_file"),
            ("url", "base_url"),
            ("ca_fil", "ca_file"),
        ] {
            assert_eq!(nearest(wrong, known), Some((meant, true)), "{wrong}");
        }
        for wrong in ["rate_limit", "api_url", "api_secret"] {
            assert_eq!(nearest(wrong, known).map(|(_, near)| near), Some(false), "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn distance_is_symmetric_and_bounded(left in ".{0,20}", right in ".{0,20}") {
            let far = distance(&left, &right);
            proptest::prop_assert_eq!(far, distance(&right, &left));
            let longest = left.to_lowercase().chars().count().max(right.to_lowercase().chars().count());
            proptest::prop_assert!(far <= longest.saturating_add(4));
        }
    }
}
