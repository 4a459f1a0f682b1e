//! Simulated providers: real HTTP on the loopback interface, over data that lives in this process.
//!
//! `chatloom demo` and the tests sync against them. They follow the providers' published pages, quirks and traps
//! included, and know nothing of chatloom's own client. Where the pages are silent the behaviour is a switch
//! (`quirks`), so that every reading of a page can be tried.
//!
//! ```text
//! BdData / ZaiaData / SitegptData    what the provider holds: plain vectors, builders, quirks, and its truth()
//! World<Data>                        the same being served: request log, faults, a hook before every request
//! Sim<Data>                          the server; stops when dropped
//! ```

pub mod bd;
pub mod demo;
#[cfg(test)]
mod probe;
mod rng;
mod server;
pub mod sitegpt;
mod truth;
mod wire;
mod world;
pub mod zaia;

pub use rng::Rng;
pub use server::Sim;
pub use truth::{TrueConversation, TrueMessage, Truth};
pub use wire::{Answer, RequestInfo};
pub use world::{Fault, Hook, Logged, RateLimit, Site, World};

/// A simulated Brilliant Directories site.
pub type BdSim = Sim<bd::BdData>;
/// A simulated Zaia workspace.
pub type ZaiaSim = Sim<zaia::ZaiaData>;
/// A simulated SiteGPT account; v0 and v2 are served over one set of data.
pub type SitegptSim = Sim<sitegpt::SitegptData>;
