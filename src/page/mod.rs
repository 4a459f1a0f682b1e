//! What strangers wrote, as a page: escaping, links, times, and the transcript of a conversation.
//!
//! Everything here is text for a reader and nothing else: no script, no image, nothing that is fetched. It knows the
//! store's rows and no server, so files and a listener can both use it.

mod clock;
mod escape;
mod frame;
mod tame;
mod transcript;

pub use clock::{Clock, which};
pub use escape::{Shown, link};
pub use frame::{Footer, Frame};
pub use tame::{tame, tame_line};
pub use transcript::{Said, Top};
