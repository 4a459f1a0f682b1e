//! What a worker shows to the outside: what it does, how its source fares, and whether it moves.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::normalise::to_iso;
use crate::sync::Progress;

/// Beyond the time for one request: what a page may take to be stored.
const STORING: Duration = Duration::from_secs(60);
/// What work on the whole store may take: computing all times anew, tidying the file.
const LONG_WORK: Duration = Duration::from_secs(3600);

/// How a source fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Condition {
    /// Not read yet since the start.
    #[default]
    New,
    Well,
    /// Read, but for some parts.
    Partly,
    Failing,
    /// The key was refused: nothing is asked until it changes.
    Stopped,
}

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Doing {
    /// It waits for its schedule.
    #[default]
    Waiting,
    /// It waits until fewer sources are being read.
    Queueing,
    Reading,
    Sweeping,
}

#[derive(Default)]
struct Look {
    doing: Doing,
    condition: Condition,
    next_ms: i64,
    progress: Option<Arc<Progress>>,
    /// The progress that was last seen, and when it had changed.
    seen: Option<(u64, Instant)>,
}

/// One worker's face. The worker changes it, the supervisor looks at it.
pub(super) struct Face {
    pub(super) source: String,
    /// The time for one try of a request.
    timeout: Duration,
    look: Mutex<Look>,
}

impl Face {
    pub(super) fn new(source: String, timeout: Duration) -> Arc<Self> {
        Arc::new(Self { source, timeout, look: Mutex::default() })
    }

    fn look(&self) -> MutexGuard<'_, Look> {
        self.look.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn condition(&self) -> Condition {
        self.look().condition
    }

    pub(super) fn set_condition(&self, condition: Condition) {
        self.look().condition = condition;
    }

    pub(super) fn waits(&self, until_ms: i64) {
        let mut look = self.look();
        (look.doing, look.next_ms, look.progress, look.seen) = (Doing::Waiting, until_ms, None, None);
    }

    pub(super) fn queues(&self) {
        self.look().doing = Doing::Queueing;
    }

    pub(super) fn reads(&self, everything: bool, progress: Option<Arc<Progress>>) {
        let mut look = self.look();
        look.doing = if everything { Doing::Sweeping } else { Doing::Reading };
        (look.progress, look.seen) = (progress, None);
    }

    /// Whether the worker moves as it should: it waits for its schedule, or for something that is known to take its
    /// time, or has moved within its budget. `speed` is how much faster than the world's the clock runs (tests).
    pub(super) fn moves(&self, now: Instant, speed: u32) -> bool {
        let mut look = self.look();
        if matches!(look.doing, Doing::Waiting | Doing::Queueing) {
            look.seen = None;
            return true;
        }
        let pulse = look.progress.as_ref().map(|progress| progress.pulse());
        let moved = pulse.as_ref().map_or(0, |pulse| pulse.moved);
        let since = match look.seen {
            Some((seen, since)) if seen == moved => since,
            _ => {
                look.seen = Some((moved, now));
                return true;
            }
        };
        if pulse.as_ref().is_some_and(|pulse| pulse.waiting) {
            // The wait is the provider's wish or our own pace, and has an end of its own.
            look.seen = Some((moved, now));
            return true;
        }
        let budget = if pulse.is_some_and(|pulse| pulse.long_work) { LONG_WORK } else { self.timeout + STORING };
        now.saturating_duration_since(since).saturating_mul(speed) <= budget
    }
}

/// One line about all workers: names and states, nothing of what is read.
pub(super) fn status_line(faces: &[Arc<Face>]) -> String {
    let mut reading = Vec::new();
    let (mut failing, mut stopped) = (Vec::new(), Vec::new());
    let mut next: Option<(i64, &str)> = None;
    for face in faces {
        let look = face.look();
        match look.doing {
            Doing::Reading => reading.push(face.source.clone()),
            Doing::Sweeping => reading.push(format!("all of {}", face.source)),
            Doing::Waiting if look.condition != Condition::Stopped => {
                if next.is_none_or(|(at, _)| look.next_ms < at) {
                    next = Some((look.next_ms, &face.source));
                }
            }
            Doing::Waiting | Doing::Queueing => {}
        }
        match look.condition {
            Condition::Failing => failing.push(face.source.clone()),
            Condition::Stopped => stopped.push(face.source.clone()),
            Condition::New | Condition::Well | Condition::Partly => {}
        }
    }
    let mut parts = Vec::new();
    if !reading.is_empty() {
        parts.push(format!("reading {}", reading.join(", ")));
    }
    if let Some((at, source)) = next
        && reading.is_empty()
    {
        parts.push(format!("next: {source} at {}", to_iso(at)));
    }
    if !failing.is_empty() {
        parts.push(format!("failing: {}", failing.join(", ")));
    }
    if !stopped.is_empty() {
        parts.push(format!("key refused: {}", stopped.join(", ")));
    }
    if parts.is_empty() { "nothing to read".to_owned() } else { parts.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);

    fn face(name: &str) -> Arc<Face> {
        Face::new(name.to_owned(), TIMEOUT)
    }

    #[test]
    fn a_worker_must_move_only_while_it_has_work() {
        let (face, start) = (face("bots"), Instant::now());
        let at = |secs| start + Duration::from_secs(secs);
        face.waits(0);
        assert!(face.moves(at(0), 1) && face.moves(at(100_000), 1));
        face.reads(false, None);
        assert!(face.moves(at(100_000), 1) && face.moves(at(100_090), 1));
        assert!(!face.moves(at(100_091), 1), "a request's time and a page's are over");
        face.waits(0);
        assert!(face.moves(at(100_092), 1));
        face.reads(true, None);
        assert!(face.moves(at(200_000), 10) && !face.moves(at(200_010), 10));
    }

    #[test]
    fn the_status_names_sources_and_states_only() {
        let faces = ["directory", "agents", "bots"].map(face);
        faces[0].waits(1_772_452_800_000);
        faces[1].waits(1_772_452_801_000);
        faces[2].waits(1_772_452_802_000);
        faces[0].set_condition(Condition::Stopped);
        faces[1].set_condition(Condition::Failing);
        assert_eq!(
            status_line(&faces),
            "next: agents at 2026-03-02T12:00:01.000Z; failing: agents; key refused: directory"
        );
        faces[2].reads(true, None);
        assert_eq!(status_line(&faces), "reading all of bots; failing: agents; key refused: directory");
        assert_eq!(status_line(&[]), "nothing to read");
    }
}
