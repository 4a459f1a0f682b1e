//! Locks that other programs hold on the store: waited for, named, and not for ever.
//!
//! No chatloom writes beside another ([`super::StoreLock`]), but anybody with an SQLite shell may. A transaction that
//! waits for them is whole and stays in memory, so waiting loses nothing.

use std::cell::RefCell;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::Connection;

/// How long a lock is waited for. Beyond it the pass ends, and what it did not store is read again by the next one.
const BUDGET: Duration = Duration::from_secs(30);
/// Between two looks.
const STEP: Duration = Duration::from_millis(25);
/// The wait from which on it is worth a line.
const WORTH_A_LINE: Duration = Duration::from_secs(1);

/// SQLite locks its write-ahead index; the byte for writers.
const WRITERS_BYTE: u64 = 120;

thread_local! {
    /// The index of the store that this thread writes to.
    static INDEX: RefCell<PathBuf> = const { RefCell::new(PathBuf::new()) };
}

/// Makes a connection wait for the locks of others, and this thread know whose store that is.
pub(super) fn wait_for_locks(connection: &mut Connection) -> rusqlite::Result<()> {
    INDEX.set(connection.path().map(|path| PathBuf::from(format!("{path}-shm"))).unwrap_or_default());
    connection.busy_handler(Some(again))
}

/// The process was told to end.
static STOPPED: AtomicBool = AtomicBool::new(false);

/// From now on nobody who opens a store waits for another program: nothing is lost by it, since nothing was read yet.
pub fn stop_waiting() {
    STOPPED.store(true, Ordering::Relaxed);
}

/// As [`wait_for_locks`], while a store is opened.
pub(super) fn wait_while_opening(connection: &mut Connection) -> rusqlite::Result<()> {
    wait_for_locks(connection)?;
    connection.busy_handler(Some(|tries| !STOPPED.load(Ordering::Relaxed) && again(tries)))
}

/// How long a lock is waited for.
pub(super) fn budget() -> Duration {
    #[cfg(debug_assertions)]
    if let Some(busy_ms) = super::failpoint::faults().busy_ms {
        return Duration::from_millis(busy_ms);
    }
    BUDGET
}

/// Asked by SQLite whenever a lock is taken: whether to try once more.
fn again(tries: i32) -> bool {
    let waited = STEP.saturating_mul(u32::try_from(tries).unwrap_or(u32::MAX));
    if waited >= budget() {
        return false;
    }
    if waited == WORTH_A_LINE {
        tracing::warn!(
            event = "store_locked",
            holder = holder(),
            "another program writes to the store; what was read waits until it is done"
        );
    }
    std::thread::sleep(STEP);
    true
}

/// Who holds the writers' lock on this thread's store, as far as the system tells.
pub(super) fn holder() -> String {
    INDEX
        .with_borrow(|index| {
            let inode = std::fs::metadata(index).ok()?.ino();
            let process = holding(&std::fs::read_to_string("/proc/locks").ok()?, inode, std::process::id())?;
            let name = std::fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
            Some(format!("process {process} ({})", name.trim().chars().filter(|c| !c.is_control()).collect::<String>()))
        })
        .unwrap_or_else(|| "another program".to_owned())
}

/// The process that holds the writers' byte of a file, in the words of `/proc/locks`.
fn holding(locks: &str, inode: u64, own: u32) -> Option<u32> {
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, _, _, "WRITE", process, file, first, last] = fields.as_slice() else { return None };
        let here = file.rsplit(':').next().is_some_and(|number| number.parse() == Ok(inode));
        let covers = first.parse::<u64>().is_ok_and(|first| first <= WRITERS_BYTE)
            && (*last == "EOF" || last.parse::<u64>().is_ok_and(|last| last >= WRITERS_BYTE));
        let process = process.parse().ok().filter(|process| *process != own && *process != 0);
        process.filter(|_| here && covers)
    })
}

#[cfg(test)]
mod tests {
    use super::holding;

    #[test]
    fn the_holder_is_found_among_all_locks() {
        let locks = "1: POSIX  ADVISORY  READ 11 fe:00:7 120 120\n\
                     2: POSIX  ADVISORY  WRITE 12 fe:00:8 120 120\n\
                     3: -> POSIX  ADVISORY  WRITE 13 fe:00:7 120 120\n\
                     4: POSIX  ADVISORY  WRITE 14 fe:00:7 124 124\n\
                     5: FLOCK  ADVISORY  WRITE 15 fe:00:7 0 EOF\nnonsense";
        assert_eq!(holding(locks, 7, 1), Some(15));
        assert_eq!(holding(locks, 8, 1), Some(12));
        assert_eq!(holding(locks, 8, 12), None);
        assert_eq!(holding(locks, 9, 1), None);
        assert_eq!(holding("", 7, 1), None);
    }
}
