//! What this process lets the system keep of it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A core file holds every key that was in memory. One of at most one byte is none; and to Linux this number means that
/// no program is handed a core either, which it would be in spite of a limit of zero.
const ALMOST_NOTHING: u64 = 1;

/// Sees to it that no core is written, whatever becomes of the process. Where even less is allowed (`LimitCORE=0`),
/// that stays.
pub(super) fn leave_no_core() {
    let limit = getrlimit(Resource::Core);
    if limit.maximum.is_some_and(|maximum| maximum < ALMOST_NOTHING) {
        return;
    }
    // Lowering a limit needs no rights. Where a sandbox forbids it all the same, the limit is the sandbox's business.
    setrlimit(Resource::Core, Rlimit { current: Some(ALMOST_NOTHING), maximum: Some(ALMOST_NOTHING) }).ok();
}
