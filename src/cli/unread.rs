//! Logs of a service whose stderr nobody reads: a full pipe must not stand still what is to be logged.
//!
//! A thread of its own does the writing. Lines wait for it, a bounded number of them; what does not fit is lost, and how
//! much that was is said as soon as somebody reads again.

use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::{Duration, Instant};

/// Lines that may wait.
const WAITING: usize = 1000;
/// How long the end of the process waits for lines to be read.
const LAST_LINES: Duration = Duration::from_millis(300);

static QUEUE: OnceLock<SyncSender<Word>> = OnceLock::new();
static LOST: AtomicU64 = AtomicU64::new(0);

enum Word {
    Line(String),
    /// Answered when everything before it was written.
    Flush(SyncSender<()>),
}

/// From now on lines are handed to a thread. Where there can be none, they are written as ever.
pub(super) fn begin() {
    let (sender, words) = sync_channel(WAITING);
    if std::thread::Builder::new().name("log".to_owned()).spawn(move || write(&words)).is_ok() {
        // A second start in one process keeps to the first queue; its own thread ends at once.
        drop(QUEUE.set(sender));
    }
}

/// Hands a whole line over; `false` where nothing was begun.
pub(super) fn take(line: &str) -> bool {
    let Some(queue) = QUEUE.get() else { return false };
    if queue.try_send(Word::Line(line.to_owned())).is_err() {
        LOST.fetch_add(1, Ordering::Relaxed);
    }
    true
}

/// Waits until what was handed over is written, for a moment only.
pub(super) fn flush() {
    let Some(queue) = QUEUE.get() else { return };
    let (answer, written) = sync_channel(1);
    let (mut word, end) = (Word::Flush(answer), Instant::now() + LAST_LINES);
    while let Err(TrySendError::Full(back)) = queue.try_send(word) {
        if Instant::now() >= end {
            return;
        }
        word = back;
        std::thread::sleep(Duration::from_millis(5));
    }
    written.recv_timeout(end.saturating_duration_since(Instant::now())).unwrap_or_default();
}

fn write(words: &Receiver<Word>) {
    let mut next = None;
    while let Some(word) = next.take().or_else(|| words.recv().ok()) {
        match word {
            // A log that cannot be written must not end the work.
            Word::Line(line) => drop(std::io::stderr().write_all(line.as_bytes())),
            Word::Flush(answer) => drop(answer.send(())),
        }
        match words.try_recv() {
            Ok(word) => next = Some(word),
            Err(TryRecvError::Empty) => {
                let lost = LOST.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    tracing::warn!(event = "log_lost", log.lines = lost, "log lines were lost, since nobody read them");
                }
            }
            Err(TryRecvError::Disconnected) => return,
        }
    }
}
