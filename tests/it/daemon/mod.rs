//! The daemon: started, signalled, starved and watched from outside, as a service manager does.

#[cfg(debug_assertions)]
mod falls;
mod lag;
pub(crate) mod lifecycle;
pub(crate) mod notify;
pub(crate) mod rig;
mod schedule;
pub(crate) mod signals;
#[cfg(debug_assertions)]
mod soak;
#[cfg(debug_assertions)]
mod soak_network;
mod sources;

pub(crate) use rig::{Daemon, Manager, SOON, send, until};
