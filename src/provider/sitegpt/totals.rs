//! Whether a conversation has fewer messages than its list row told of (`totalMessages`).
//!
//! Whether that counts message objects, or questions and answers by themselves, is not documented: it is learnt from
//! fetches that come out even in one way alone, and remembered as the fact `total_counts`.

use std::collections::HashSet;

use serde_json::value::RawValue;

use super::json::Fields;
use super::records::MESSAGE_ID;
use super::split;
use crate::provider::Facts;

/// How many messages a fetch brought, in both ways of counting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Message objects with different ids.
    pub(super) objects: i64,
    /// Messages that they come to once questions and answers stand apart; never fewer than objects.
    pub(super) halves: i64,
}

/// What a tally says beside the total of the list row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Compared {
    /// The word for a conversation that has fewer messages than were told of.
    pub(super) incomplete: Option<&'static str>,
    /// Conversations passed for complete before that would not now.
    pub(super) refetch_all: bool,
    /// The total is what the fetch brought, and it is known what it counts.
    pub(super) whole: bool,
}

/// What the total counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counts {
    Unknown,
    /// Not known either, and a conversation passed for complete that would be short if objects are counted.
    Doubted,
    Objects,
    Halves,
    /// Now this, now that.
    Mixed,
}

const FACT: &str = "total_counts";
const AGAINST_FACT: &str = "total_counts_against";

/// So many in a row unlearn it.
const UNLEARNT: u32 = 5;

impl Counts {
    const LEARNT: [(&str, Self); 4] =
        [("doubted", Self::Doubted), ("objects", Self::Objects), ("halves", Self::Halves), ("mixed", Self::Mixed)];

    /// How often, in a row, totals spoke for halves although objects were learnt: one may be a conversation that lacks
    /// just so many, many are another way of counting.
    fn against(facts: &Facts) -> u32 {
        facts.get(AGAINST_FACT).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    fn remembered(facts: &Facts) -> Self {
        let word = facts.get(FACT);
        let known = Self::LEARNT.into_iter().find(|(name, _)| word.as_deref() == Some(*name));
        known.map_or(Self::Unknown, |(_, counts)| counts)
    }

    fn remember(self, facts: &Facts) {
        if let Some((word, _)) = Self::LEARNT.into_iter().find(|(_, counts)| *counts == self) {
            facts.set(FACT, word);
        }
    }

    fn with(self, evidence: Option<Self>) -> Self {
        match (self, evidence) {
            (before, None) => before,
            (Self::Unknown | Self::Doubted, Some(seen)) => seen,
            (before, Some(seen)) if before == seen => before,
            (_, Some(_)) => Self::Mixed,
        }
    }
}

impl Tally {
    /// Adds one page.
    pub(super) fn add(&mut self, messages: &[&RawValue]) {
        let mut seen = HashSet::new();
        for raw in messages {
            let fields = Fields::of(raw).unwrap_or_default();
            if fields.id(MESSAGE_ID).is_none_or(|id| seen.insert(id)) {
                self.objects += 1;
                self.halves += split::halves(&fields);
            }
        }
    }

    /// Compares a whole fetch with the total that the list row told, and learns from it. More than was told is no
    /// fault: messages may come between the two.
    pub(super) fn compare(self, reported: Option<i64>, facts: &Facts) -> Compared {
        let Some(reported) = reported else { return Compared::default() };
        let evidence = match (self.objects == reported, self.halves == reported) {
            (true, false) => Some(Counts::Objects),
            (false, true) => Some(Counts::Halves),
            _ => None,
        };
        let before = Counts::remembered(facts);
        let against = match (before, evidence) {
            (Counts::Objects, Some(Counts::Halves)) => Counts::against(facts) + 1,
            (Counts::Objects, Some(_)) => 0,
            _ => Counts::against(facts),
        };
        if against != Counts::against(facts) {
            facts.set(AGAINST_FACT, against.to_string());
        }
        let doubtful = before == Counts::Objects && evidence == Some(Counts::Halves) && against < UNLEARNT;
        let mut now = if doubtful { before } else { before.with(evidence) };
        let short = match now {
            Counts::Objects => self.objects < reported,
            // Where nothing is known, both ways of counting have to say so, and halves are the greater.
            Counts::Unknown | Counts::Doubted | Counts::Halves | Counts::Mixed => self.halves < reported,
        };
        if now == Counts::Unknown && !short && self.objects < reported {
            now = Counts::Doubted;
        }
        now.remember(facts);
        Compared {
            incomplete: short.then_some("count"),
            // Or did not pass, and would now.
            refetch_all: before == Counts::Doubted && now == Counts::Objects
                || before == Counts::Objects && now == Counts::Mixed,
            whole: match now {
                Counts::Objects => self.objects == reported,
                Counts::Halves => self.halves == reported,
                Counts::Unknown | Counts::Doubted | Counts::Mixed => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::raw;
    use super::*;

    fn tally(objects: i64, halves: i64) -> Tally {
        Tally { objects, halves }
    }

    /// Compares one after another: objects, halves, reported, and whether that is short.
    fn story(facts: &Facts, fetches: &[(i64, i64, i64, bool)]) {
        for &(objects, halves, reported, short) in fetches {
            let compared = tally(objects, halves).compare(Some(reported), facts);
            assert_eq!(compared.incomplete, short.then_some("count"), "{objects} {halves} {reported}");
        }
    }

    #[test]
    fn objects_with_one_id_count_once() {
        let pair = raw(r#"{"messageId":"1","question":{"text":"q"},"answer":{"text":"a"}}"#);
        let mut tally = Tally::default();
        tally.add(&[&pair, &pair]);
        assert_eq!(tally, Tally { objects: 1, halves: 2 });
    }

    #[test]
    fn while_it_is_open_what_counts_only_both_ways_together_tell() {
        let facts = Facts::default();
        story(&facts, &[(1, 2, 3, true), (2, 4, 3, false), (0, 0, 0, false), (3, 3, 3, false), (5, 9, 3, false)]);
        assert_eq!(tally(0, 0).compare(None, &facts), Compared::default());
        assert_ne!(facts.get(FACT).as_deref(), Some("objects"));
    }

    #[test]
    fn a_total_that_counts_objects_is_learnt_and_halves_do_not_make_up_for_them() {
        let facts = Facts::default();
        story(&facts, &[(4, 8, 4, false), (3, 6, 4, true), (5, 10, 4, false), (4, 4, 4, false)]);
        assert_eq!(facts.get(FACT).as_deref(), Some("objects"));
    }

    #[test]
    fn a_total_that_counts_halves_is_learnt() {
        let facts = Facts::default();
        story(&facts, &[(4, 8, 8, false), (4, 7, 8, true), (5, 10, 8, false)]);
        assert_eq!(facts.get(FACT).as_deref(), Some("halves"));
    }

    #[test]
    fn a_total_says_that_a_conversation_is_whole_once_it_is_known_what_it_counts() {
        let facts = Facts::default();
        assert!(!tally(4, 7).compare(Some(8), &facts).whole && !tally(3, 3).compare(Some(3), &facts).whole);
        let whole = [(4, 8, 4), (4, 8, 5), (5, 8, 4), (2, 4, 4)]
            .map(|(objects, halves, told)| tally(objects, halves).compare(Some(told), &facts).whole);
        assert_eq!(whole, [true, false, false, false]);
        assert!(!tally(4, 8).compare(None, &facts).whole);
        let halves = Facts::default();
        assert!(tally(4, 8).compare(Some(8), &halves).whole && !tally(4, 6).compare(Some(8), &halves).whole);
    }

    #[test]
    fn contradictions_make_it_lenient_for_good() {
        let facts = Facts::default();
        story(&facts, &[(4, 8, 8, false), (4, 8, 4, false), (3, 6, 4, false), (2, 3, 4, true), (4, 8, 4, false)]);
        assert_eq!(facts.get(FACT).as_deref(), Some("mixed"));
    }

    #[test]
    fn a_conversation_that_lacks_just_as_many_as_it_has_answers_does_not_pass_for_complete() {
        let facts = Facts::default();
        story(&facts, &[(4, 8, 4, false), (5, 9, 9, true), (4, 8, 4, false)]);
        story(&facts, &[(5, 9, 9, true), (5, 9, 9, true), (5, 9, 9, true), (5, 9, 9, true)]);
        assert_eq!(facts.get(FACT).as_deref(), Some("objects"));
        assert_eq!(
            tally(5, 9).compare(Some(9), &facts),
            Compared { incomplete: None, refetch_all: true, whole: false }
        );
        assert_eq!(facts.get(FACT).as_deref(), Some("mixed"), "so many are another way of counting");
    }

    #[test]
    fn what_passed_before_it_was_learnt_is_looked_at_again_once() {
        let facts = Facts::default();
        assert_eq!(tally(50, 100).compare(Some(80), &facts), Compared::default());
        let learnt = tally(4, 8).compare(Some(4), &facts);
        assert_eq!(learnt, Compared { incomplete: None, refetch_all: true, whole: true });
        assert_eq!(tally(50, 100).compare(Some(80), &facts).incomplete, Some("count"));
        assert!(!tally(4, 8).compare(Some(4), &facts).refetch_all);
        let halves = Facts::default();
        tally(50, 100).compare(Some(80), &halves);
        assert!(!tally(4, 8).compare(Some(8), &halves).refetch_all, "it was no less than told");
    }

    proptest! {
        #[test]
        fn whatever_is_known_fewer_either_way_is_short_and_enough_either_way_is_not(
            word in "objects|halves|mixed|doubted|other",
            objects in 0i64..9, more in 0i64..9, reported in 0i64..12,
        ) {
            let facts = Facts::default();
            facts.set(FACT, word);
            let compared = tally(objects, objects + more).compare(Some(reported), &facts);
            prop_assert!(objects + more >= reported || compared.incomplete.is_some());
            prop_assert!(objects < reported || compared.incomplete.is_none());
        }
    }
}
