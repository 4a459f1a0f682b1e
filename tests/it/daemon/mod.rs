//! The daemon: started, signalled, starved and watched from outside, as a service manager does.

mod lag;
mod lifecycle;
mod notify;
pub(crate) mod rig;
mod schedule;
mod signals;
#[cfg(debug_assertions)]
mod soak;
#[cfg(debug_assertions)]
mod soak_network;
mod sources;

pub(crate) use rig::{Daemon, Manager, SOON, until};
