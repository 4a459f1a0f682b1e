//! The canonical model: what every provider's records are turned into.
//!
//! Nothing here knows a provider, the network or SQLite. Times are milliseconds since 1970 UTC
//! (`i64`, named `*_ms`), external ids are text exactly as the provider spells them.

mod hash;
mod kinds;
mod reach;
mod record;
mod row;

pub use hash::{Fingerprint, Hasher};
pub use kinds::{AuthorKind, ChannelKind, ConversationStatus, MessageKind, ParticipantKind, ProviderKind};
pub use reach::Reach;
pub use record::{RawRecord, Reject, Stage, StreamKey};
pub use row::{Attachment, ChannelRow, Citation, ContactHint, ConversationRow, MessageRow, ParticipantRow, Patch, Row};
