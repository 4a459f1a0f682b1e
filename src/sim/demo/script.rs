//! Turns dialogs into timed lines.

use super::lines::{Dialog, Exchange, Tongue};
use crate::sim::rng::Rng;

pub(super) const MINUTE: i64 = 60_000;
pub(super) const DAY: i64 = 86_400_000;

/// A contact's line with the answer to it; `None` where it was never answered.
pub(super) struct Turn {
    pub(super) asked: (String, i64),
    pub(super) answered: Option<(String, i64)>,
}

/// How long answers take, in milliseconds.
#[derive(Clone, Copy)]
pub(super) struct Pace(pub(super) i64, pub(super) i64);

/// Software.
pub(super) const BOT: Pace = Pace(1_200, 14_000);
/// A human at a desk.
pub(super) const DESK: Pace = Pace(40_000, 18 * MINUTE);
/// A human who looks at messages now and then.
pub(super) const CASUAL: Pace = Pace(2 * MINUTE, 5 * 60 * MINUTE);

/// A moment of the 60 days before `now_ms`, never so late that a conversation would outlast it.
pub(super) fn start(rng: &mut Rng, now_ms: i64) -> i64 {
    // The margin holds the longest conversation: five casual answers of five hours each.
    let days = rng.between(2, 59);
    now_ms - days * DAY + rng.between(-8 * 60 * MINUTE, 10 * 60 * MINUTE) + rng.between(0, 999)
}

/// Plays a dialog and perhaps an ending from `at_ms` on. Times never reach `end_ms`.
pub(super) fn play(
    rng: &mut Rng,
    tongue: &Tongue,
    dialogs: &[Dialog],
    at_ms: i64,
    end_ms: i64,
    pace: Pace,
) -> (&'static str, Vec<Turn>) {
    let Some(dialog) = rng.pick(dialogs) else { return ("", Vec::new()) };
    let mut exchanges: Vec<Exchange> = dialog.exchanges.to_vec();
    for _ in 0..rng.between(0, 2) {
        exchanges.extend(rng.pick(tongue.closing).copied());
    }
    let number = rng.between(10_000, 99_999).to_string();
    let mut clock = at_ms;
    let mut turns = Vec::new();
    let last = exchanges.len().saturating_sub(1);
    for (index, (asked, answered)) in exchanges.into_iter().enumerate() {
        let asked_at = clock;
        clock += rng.between(pace.0, pace.1);
        let answered_at = clock;
        clock += rng.between(15_000, 9 * MINUTE);
        if answered_at >= end_ms {
            break;
        }
        // Now and then the last word is never answered.
        let silent = index == last && rng.chance(12);
        let answered = (!silent).then(|| (answered.replace("{n}", &number), answered_at));
        turns.push(Turn { asked: (asked.replace("{n}", &number), asked_at), answered });
    }
    (dialog.title, turns)
}
