//! How a limit on messages is written so that the server really obeys it.
//!
//! The reference gives `pagination` as an object `{limit: 1..1000, default 250}` and no encoding. A server that does
//! not understand a spelling may reject it, which is plain to see, or ignore it and send 250, which looks like a
//! chat of 250 messages. So: *accepted* is remembered as the fact `pagination`, *proven* as `pagination_proven`, which
//! also tells of a server that has no limit at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::request::{DEFAULT_LIMIT, Encoding, MESSAGE_LIMIT};
use crate::provider::Facts;

/// How the `pagination` parameter of messages is written: the setting of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pagination {
    /// Found out by trying, and remembered.
    #[default]
    Auto,
    /// `pagination[limit]=1000`
    Brackets,
    /// `pagination={"limit":1000}`
    Json,
    /// `limit=1000`
    Plain,
}

impl Pagination {
    /// Reads the setting's spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "auto" => Self::Auto,
            "brackets" => Self::Brackets,
            "json" => Self::Json,
            "plain" => Self::Plain,
            _ => return None,
        })
    }

    fn fixed(self) -> Option<Encoding> {
        match self {
            Self::Auto => None,
            Self::Brackets => Some(Encoding::Brackets),
            Self::Json => Some(Encoding::Json),
            Self::Plain => Some(Encoding::Plain),
        }
    }
}

/// What the number of rows in an answer says about its completeness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing was left out.
    Whole,
    /// Nothing was left out, and the encoding was obeyed (or no limit is in force).
    Proves,
    /// It may be a default limit at work: ask for one row and see.
    Doubtful,
    /// As many rows as one request can bring: there may be more.
    Cut,
}

/// Judges an answer to a request for [`MESSAGE_LIMIT`] rows, of which so many are `stored` already.
///
/// A server that obeyed the encoding once may have stopped, and rows that an answer called whole does not hold are
/// taken for removed: so the default is doubted whatever was proven, and so is any round number that holds less
/// than is stored.
pub(super) fn judge(rows: usize, proven: bool, stored: i64) -> Verdict {
    match rows {
        MESSAGE_LIMIT => Verdict::Cut,
        DEFAULT_LIMIT => Verdict::Doubtful,
        1..MESSAGE_LIMIT if rows.is_multiple_of(50) && is_fewer(rows, stored) => Verdict::Doubtful,
        _ if proven => Verdict::Whole,
        rows if rows > DEFAULT_LIMIT => Verdict::Proves,
        // The default is documented as 250; a revision with another one would pick a round number as well.
        rows if rows > 0 && rows.is_multiple_of(50) => Verdict::Doubtful,
        _ => Verdict::Whole,
    }
}

fn is_fewer(rows: usize, stored: i64) -> bool {
    i64::try_from(rows).is_ok_and(|rows| rows < stored)
}

const ACCEPTED: &str = "pagination";
const PROVEN: &str = "pagination_proven";
/// In place of a proven encoding: none was, and a chat was called incomplete for it.
const NOTHING: &str = "nothing";
/// In place of a proven encoding: none is obeyed, and more than the default came all the same. A chat of just as many rows
/// as the default is called incomplete, and unsettles nothing: else it would be proof and doubt in turn, pass after pass.
const NO_LIMIT: &str = "no_limit";

/// What is known about the encodings.
pub(super) struct Limits {
    setting: Pagination,
    facts: Arc<Facts>,
    /// Every encoding was probed in vain by this process: that is not repeated for every long chat.
    exhausted: AtomicBool,
}

impl Limits {
    pub(super) fn new(setting: Pagination, facts: Arc<Facts>) -> Self {
        Self { setting, facts, exhausted: AtomicBool::new(false) }
    }

    fn known(&self, fact: &str) -> Option<Encoding> {
        self.facts.get(fact).as_deref().and_then(Encoding::from_word)
    }

    /// The encodings to try, the most promising first. The one before was rejected when the next is tried.
    pub(super) fn order(&self) -> Vec<Encoding> {
        if let Some(fixed) = self.setting.fixed() {
            return vec![fixed];
        }
        let known = self.known(PROVEN).or_else(|| self.known(ACCEPTED));
        let mut order = Encoding::ALL.to_vec();
        order.sort_by_key(|encoding| Some(*encoding) != known);
        order
    }

    /// The server took this encoding without complaint.
    pub(super) fn accepted(&self, encoding: Encoding) {
        // One odd chat does not unsettle what was proven.
        if self.known(PROVEN).is_none() {
            self.facts.set(ACCEPTED, encoding.word());
        }
    }

    /// Whether the server is known to obey this encoding, or to have no limit.
    pub(super) fn is_proven(&self, encoding: Encoding) -> bool {
        self.known(PROVEN) == Some(encoding) || self.is(NO_LIMIT)
    }

    fn is(&self, word: &str) -> bool {
        self.facts.get(PROVEN).as_deref() == Some(word)
    }

    /// Whether more rows than the default may be due to there being no limit, rather than to an encoding that is obeyed:
    /// none was when that was asked.
    pub(super) fn may_be_none(&self) -> bool {
        self.is(NOTHING)
    }

    /// The encodings worth a probe, the one in use first; none when this process probed them all in vain. A proof is
    /// never dropped without a probe.
    pub(super) fn to_probe(&self, in_use: Encoding) -> Vec<Encoding> {
        if self.exhausted.load(Ordering::Relaxed) && self.known(PROVEN) != Some(in_use) {
            return Vec::new();
        }
        let mut order = self.order();
        order.retain(|encoding| *encoding != Encoding::Bare);
        order.sort_by_key(|encoding| *encoding != in_use);
        order
    }

    /// The server obeys this encoding. True when chats were called incomplete before for want of that proof.
    pub(super) fn prove(&self, encoding: Encoding) -> bool {
        let late = self.is(NOTHING) || self.is(NO_LIMIT);
        if late {
            self.facts.owe_refetch();
        }
        self.facts.set(ACCEPTED, encoding.word());
        self.facts.set(PROVEN, encoding.word());
        self.exhausted.store(false, Ordering::Relaxed);
        late
    }

    /// No limit is in force. True when chats were called incomplete before for want of that proof.
    pub(super) fn prove_none(&self) -> bool {
        let late = self.is(NOTHING);
        if late {
            self.facts.owe_refetch();
        }
        self.facts.set(PROVEN, NO_LIMIT);
        late
    }

    /// An encoding that would serve is refused with the limit that is needed, and a chat is called incomplete for it. A
    /// proof stands: the refusal may be meant for this chat alone.
    pub(super) fn refused(&self) {
        if self.facts.get(PROVEN).is_none() {
            self.facts.set(PROVEN, NOTHING);
        }
    }

    /// No encoding could be proven after an answer of so many rows in this one. Says whether it has to count as cut:
    /// then what was proven of the encoding before holds no longer.
    pub(super) fn give_up(&self, encoding: Encoding, rows: usize, stored: i64) -> bool {
        self.exhausted.store(true, Ordering::Relaxed);
        let cut = rows == DEFAULT_LIMIT || is_fewer(rows, stored);
        if cut && !self.is(NO_LIMIT) && self.known(PROVEN).is_none_or(|proven| proven == encoding) {
            self.facts.set(PROVEN, NOTHING);
        }
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(setting: Pagination) -> (Limits, Arc<Facts>) {
        let facts = Arc::new(Facts::default());
        (Limits::new(setting, Arc::clone(&facts)), facts)
    }

    #[test]
    fn a_round_number_of_rows_is_doubted_until_the_encoding_is_proven() {
        assert_eq!(judge(250, false, 0), Verdict::Doubtful);
        assert_eq!(judge(100, false, 0), Verdict::Doubtful);
        assert_eq!(judge(100, true, 0), Verdict::Whole);
        assert_eq!(judge(249, false, 0), Verdict::Whole);
        assert_eq!(judge(0, false, 0), Verdict::Whole);
        assert_eq!(judge(251, false, 0), Verdict::Proves);
        assert_eq!(judge(1000, true, 0), Verdict::Cut);
        assert_eq!(judge(1000, false, 0), Verdict::Cut);
        assert_eq!(judge(1001, true, 0), Verdict::Whole, "no limit is in force");
    }

    #[test]
    fn no_proof_covers_the_default_or_a_round_number_below_what_is_stored() {
        for stored in [0, 250, 600] {
            assert_eq!(judge(250, true, stored), Verdict::Doubtful);
        }
        assert_eq!(judge(100, true, 101), Verdict::Doubtful);
        assert_eq!(judge(100, true, 100), Verdict::Whole);
        assert_eq!(judge(101, true, 102), Verdict::Whole);
        assert_eq!(judge(500, false, 600), Verdict::Doubtful);
        assert_eq!(judge(0, true, 600), Verdict::Whole);
        assert_eq!(judge(1050, true, 2000), Verdict::Whole, "no limit is in force");
    }

    #[test]
    fn encodings_are_tried_in_turn_and_the_accepted_one_is_remembered() {
        let (limits, facts) = limits(Pagination::Auto);
        assert_eq!(limits.order(), Encoding::ALL);
        limits.accepted(Encoding::Plain);
        assert_eq!(facts.get("pagination").as_deref(), Some("plain"));
        assert_eq!(limits.order(), [Encoding::Plain, Encoding::Brackets, Encoding::Json, Encoding::Bare]);
        assert!(!limits.is_proven(Encoding::Plain), "accepted is not proven");
    }

    #[test]
    fn a_fixed_encoding_is_the_only_one() {
        let (limits, _) = limits(Pagination::Json);
        assert_eq!(limits.order(), [Encoding::Json]);
        assert_eq!(limits.to_probe(Encoding::Json), [Encoding::Json]);
    }

    #[test]
    fn a_proof_stands_against_one_odd_chat() {
        let (limits, facts) = limits(Pagination::Auto);
        limits.accepted(Encoding::Brackets);
        assert_eq!(limits.to_probe(Encoding::Brackets), [Encoding::Brackets, Encoding::Json, Encoding::Plain]);
        assert!(!limits.prove(Encoding::Json));
        limits.accepted(Encoding::Bare);
        assert_eq!(limits.order().first(), Some(&Encoding::Json));
        assert_eq!(facts.get("pagination_proven").as_deref(), Some("json"));
    }

    #[test]
    fn a_late_proof_tells_that_earlier_chats_deserve_another_look() {
        let (limits, facts) = limits(Pagination::Auto);
        assert!(!limits.give_up(Encoding::Brackets, 100, 100), "only the documented default is taken for a cut");
        assert!(limits.give_up(Encoding::Brackets, 250, 0));
        assert!(limits.to_probe(Encoding::Bare).is_empty(), "not again in this process");
        let later = Limits::new(Pagination::Auto, facts);
        assert_eq!(later.to_probe(Encoding::Plain).first(), Some(&Encoding::Plain), "but in the next");
        assert!(later.prove(Encoding::Plain));
        assert!(!later.prove(Encoding::Plain));
    }

    #[test]
    fn that_there_is_no_limit_is_learnt_once_and_unsettled_by_no_chat() {
        let (limits, facts) = limits(Pagination::Auto);
        assert!(!limits.prove(Encoding::Brackets) && !limits.may_be_none());
        assert!(limits.give_up(Encoding::Brackets, 250, 0) && limits.may_be_none());
        assert!(limits.prove_none(), "the chat of 250 deserves another look");
        for stored in [0, 250, 600] {
            assert!(limits.give_up(Encoding::Brackets, 250, stored), "suspected still");
            limits.refused();
            assert!(limits.is_proven(Encoding::Brackets) && !limits.may_be_none());
        }
        assert_eq!(facts.get("pagination_proven").as_deref(), Some("no_limit"));
        assert!(limits.to_probe(Encoding::Brackets).is_empty(), "once in a process is enough");
        assert!(limits.prove(Encoding::Json), "there is a limit now, and it is obeyed");
    }

    #[test]
    fn a_proof_that_does_not_hold_any_more_is_forgotten() {
        let (limits, facts) = limits(Pagination::Auto);
        limits.prove(Encoding::Json);
        assert!(limits.give_up(Encoding::Bare, 250, 600));
        assert!(limits.is_proven(Encoding::Json), "another encoding was at fault");
        assert!(!limits.to_probe(Encoding::Json).is_empty(), "and it is tried before it is dropped");
        assert!(limits.give_up(Encoding::Json, 100, 600), "less than is stored");
        assert_eq!(facts.get("pagination_proven").as_deref(), Some("nothing"));
        assert!(limits.to_probe(Encoding::Json).is_empty());
        assert!(limits.prove(Encoding::Json), "a late proof");
        assert!(!limits.to_probe(Encoding::Json).is_empty(), "worth a probe again");
    }
}
