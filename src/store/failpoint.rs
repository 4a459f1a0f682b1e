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
//! | `wal_limit=100000` | bytes of write-ahead log above which it is cut short |

/// Dies here if `CHATLOOM_FAULTS` asks for it.
macro_rules! failpoint {
    ($name:literal) => {
        #[cfg(debug_assertions)]
        $crate::store::failpoint::reach($name);
    };
}
pub(crate) use failpoint;

#[cfg(debug_assertions)]
pub use armed::{Faults, arm};
#[cfg(debug_assertions)]
pub(crate) use armed::{faults, reach};

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static FAULTS: OnceLock<Faults> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);

    /// What is to go wrong in this process.
    #[derive(Debug, Clone, Default, PartialEq, Eq)]
    pub struct Faults {
        crash: Option<(String, u64)>,
        pub(crate) cursors_first: bool,
        pub(crate) max_pages: Option<u32>,
        pub(crate) wal_limit: Option<u64>,
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
                    "crash" => {
                        let (point, times) = value.split_once(':').unwrap_or((value, "1"));
                        faults.crash = Some((point.to_owned(), times.parse().map_err(|_| wrong())?));
                    }
                    "cursors_first" => faults.cursors_first = true,
                    "max_pages" => faults.max_pages = Some(value.parse().map_err(|_| wrong())?),
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
        let Some((point, times)) = FAULTS.get().and_then(|faults| faults.crash.as_ref()) else { return };
        if (point == "*" || point == name) && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *times {
            tracing::error!(point = name, "dying as asked");
            std::process::abort();
        }
    }

    #[cfg(test)]
    mod tests {
        use super::Faults;

        #[test]
        fn parts_are_read_and_nonsense_is_refused() {
            let faults = Faults::parse("crash=commit.rows:3, cursors_first,max_pages=300,wal_limit=100000").unwrap();
            assert_eq!(faults.crash, Some(("commit.rows".to_owned(), 3)));
            assert_eq!((faults.cursors_first, faults.max_pages, faults.wal_limit), (true, Some(300), Some(100_000)));
            assert_eq!(Faults::parse("crash=*").unwrap().crash, Some(("*".to_owned(), 1)));
            assert_eq!(Faults::parse(""), Ok(Faults::default()));
            for nonsense in ["crash=a:b", "max_pages", "explode"] {
                Faults::parse(nonsense).unwrap_err();
            }
        }
    }
}
