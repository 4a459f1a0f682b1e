//! Faults on demand, for the tests of crash safety: named points at which the process dies, and limits that make
//! rare trouble cheap to bring about.
//!
//! Only debug builds have them; in a release build [`failpoint!`] expands to nothing. They are asked for with
//! `CHATLOOM_FAULTS`, which `config` reads: parts separated by commas.
//!
//! | part | does |
//! |---|---|
//! | `crash=commit.rows:3` | aborts when `commit.rows` is passed for the third time; `*` stands for every point |
//! | `cursors_first` | commits cursors and fetch marks before their rows: the mistake that the tests must notice |
//! | `max_pages=300` | the file may not grow beyond so many pages: a full disk |
//! | `haste=20` | waits before a request is made again are so much shorter |
//! | `clock_jump=3600:5` | the wall clock jumps by so many seconds at its fifth reading, and goes on from there |
//! | `speed=60` | schedules and back-offs run so much faster than the world |
//! | `stall=commit.rows` | stands still for ever when `commit.rows` is passed; `stall=commit.rows:3`: the third time |
//! | `panic=pass.listed` | panics there, once: a mistake of ours that must not end the process |
//! | `busy=1500` | milliseconds that a lock of another program is waited for |
//! | `disk=nfs4` | the store seems to lie on a file system of that kind |
//! | `wal_limit=100000` | bytes of write-ahead log above which it is cut short |

/// Dies, panics or stands still here if `CHATLOOM_FAULTS` asks for it.
macro_rules! failpoint {
    ($name:literal) => {
        #[cfg(debug_assertions)]
        $crate::store::failpoint::reach($name);
    };
    // In a task: standing still holds up the task, and not the thread that other tasks need.
    (async $name:literal) => {
        #[cfg(debug_assertions)]
        $crate::store::failpoint::reach_in_task($name).await;
    };
}
pub(crate) use failpoint;

#[cfg(debug_assertions)]
pub use armed::{Faults, arm};
#[cfg(debug_assertions)]
pub(crate) use armed::{faults, reach, reach_in_task};

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static FAULTS: OnceLock<Faults> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);
    static STALLED: AtomicU64 = AtomicU64::new(0);
    static PANICKED: AtomicU64 = AtomicU64::new(0);

    /// What is to go wrong in this process.
    #[derive(Debug, Clone, Default, PartialEq, Eq)]
    pub struct Faults {
        crash: Option<(String, u64)>,
        stall: Option<(String, u64)>,
        panic: Option<(String, u64)>,
        /// See `app::clock`.
        pub(crate) speed: Option<u32>,
        /// See `app::build`.
        pub(crate) haste: Option<u32>,
        /// Seconds, and the reading of the clock at which they are added. See `app::clock`.
        pub(crate) clock_jump: Option<(i64, u64)>,
        pub(crate) cursors_first: bool,
        pub(crate) max_pages: Option<u32>,
        pub(crate) wal_limit: Option<u64>,
        /// See `store::patience`.
        pub(crate) busy_ms: Option<u64>,
        /// See `store::disk`.
        pub(crate) disk: Option<String>,
    }

    impl Faults {
        /// Reads the value of `CHATLOOM_FAULTS`.
        ///
        /// # Errors
        /// A part that means nothing.
        pub fn parse(text: &str) -> Result<Self, String> {
            let mut faults = Self::default();
            for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
                let (name, value) = part.split_once('=').unwrap_or((part, ""));
                let wrong = || format!("CHATLOOM_FAULTS: `{part}` means nothing");
                match name {
                    "crash" | "stall" | "panic" => {
                        let (point, times) = value.split_once(':').unwrap_or((value, "1"));
                        let point = Some((point.to_owned(), times.parse().map_err(|_| wrong())?));
                        match name {
                            "crash" => faults.crash = point,
                            "stall" => faults.stall = point,
                            _ => faults.panic = point,
                        }
                    }
                    "speed" => faults.speed = Some(value.parse().map_err(|_| wrong())?),
                    "haste" => faults.haste = Some(value.parse().map_err(|_| wrong())?),
                    "clock_jump" => {
                        let (seconds, reading) = value.split_once(':').unwrap_or((value, "1"));
                        let parsed = (seconds.parse().map_err(|_| wrong())?, reading.parse().map_err(|_| wrong())?);
                        faults.clock_jump = Some(parsed);
                    }
                    "cursors_first" => faults.cursors_first = true,
                    "max_pages" => faults.max_pages = Some(value.parse().map_err(|_| wrong())?),
                    "busy" => faults.busy_ms = Some(value.parse().map_err(|_| wrong())?),
                    "disk" if !value.is_empty() => faults.disk = Some(value.to_owned()),
                    "wal_limit" => faults.wal_limit = Some(value.parse().map_err(|_| wrong())?),
                    _ => return Err(wrong()),
                }
            }
            Ok(faults)
        }
    }

    /// Sets what is to go wrong, once for the life of the process.
    pub fn arm(faults: Faults) {
        drop(FAULTS.set(faults));
    }

    /// What was set, or nothing.
    pub(crate) fn faults() -> Faults {
        FAULTS.get().cloned().unwrap_or_default()
    }

    /// A point is passed. Dying is an abort: no unwinding, no destructor, nothing flushed, as with SIGKILL.
    pub(crate) fn reach(name: &'static str) {
        if stalls(name) {
            loop {
                std::thread::park();
            }
        }
    }

    /// The same in a task.
    pub(crate) async fn reach_in_task(name: &'static str) {
        if stalls(name) {
            std::future::pending::<()>().await;
        }
    }

    /// Whether to stand still here; dies or panics if that is asked for.
    fn stalls(name: &'static str) -> bool {
        let Some(faults) = FAULTS.get() else { return false };
        if meets(faults.crash.as_ref(), name, &PASSED) {
            tracing::error!(point = name, "dying as asked");
            std::process::abort();
        }
        assert!(!meets(faults.panic.as_ref(), name, &PANICKED), "panicking as asked");
        let stalls = meets(faults.stall.as_ref(), name, &STALLED);
        if stalls {
            tracing::error!(point = name, "standing still as asked");
        }
        stalls
    }

    fn meets(asked: Option<&(String, u64)>, name: &str, passed: &AtomicU64) -> bool {
        let Some((point, times)) = asked else { return false };
        (point == "*" || point == name) && passed.fetch_add(1, Ordering::SeqCst) + 1 == *times
    }

    #[cfg(test)]
    mod tests {
        use super::Faults;

        #[test]
        fn parts_are_read_and_nonsense_is_refused() {
            let faults = Faults::parse("crash=commit.rows:3, cursors_first,max_pages=300,wal_limit=100000").unwrap();
            assert_eq!(faults.crash, Some(("commit.rows".to_owned(), 3)));
            assert_eq!((faults.cursors_first, faults.max_pages, faults.wal_limit), (true, Some(300), Some(100_000)));
            let more = Faults::parse("speed=60,stall=fetch.before,panic=pass.listed:2").unwrap();
            assert_eq!((more.speed, more.panic), (Some(60), Some(("pass.listed".to_owned(), 2))));
            assert_eq!(more.stall, Some(("fetch.before".to_owned(), 1)));
            assert_eq!(Faults::parse("clock_jump=-3600:5").unwrap().clock_jump, Some((-3_600, 5)));
            assert_eq!(Faults::parse("crash=*").unwrap().crash, Some(("*".to_owned(), 1)));
            assert_eq!(Faults::parse(""), Ok(Faults::default()));
            for nonsense in ["crash=a:b", "max_pages", "speed=fast", "clock_jump=1:x", "explode"] {
                Faults::parse(nonsense).unwrap_err();
            }
        }
    }
}
