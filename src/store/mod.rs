//! The SQLite file: who may open it, what stands in it, and the one way anything is written.
//!
//! One thread owns the writing connection ([`Store`]); it takes a [`Batch`] at a time and applies rows, rejects,
//! cursor, facts and run counters in ONE transaction. Readers open connections of their own ([`open_reader`]).
//!
//! To change the schema: add `migrations/NNNN_*.sql` with the next number, list it in `schema.rs`, and never touch a
//! released file. SQL stands beside the method that owns it; tables and views stand in `migrations/` only.

mod access;
mod altered;
mod backup;
mod batch;
pub mod browse;
mod commit;
mod conversation;
mod directory;
mod disk;
mod erase;
mod error;
mod explain;
pub mod failpoint;
mod fetched;
mod figures;
mod filling;
mod fold;
mod forget;
mod fulltext;
mod journal;
mod lacking;
mod letters;
mod lock;
mod maintain;
mod message;
mod open;
mod order;
mod overview;
mod pack;
mod patience;
mod people;
mod person;
mod place;
mod plans;
mod query;
mod questions;
mod raw;
mod renew;
mod replay;
mod reporting;
mod run;
mod schema;
mod search;
mod search_check;
mod shroud;
mod snapshot;
mod stats;
mod status;
mod sweep;
#[cfg(test)]
mod tests;
mod theirs;
mod unlisted;
mod verify;
mod views;
mod wal;
mod work;
mod writer;

pub use backup::{Backup, backup, copies, holding};
pub use batch::{Access, Batch, Chain, Committed, Counts, FetchMark, Record, RowCounts, Stretch, SweepPoint, UsageNow};
pub use error::StoreError;
pub use explain::{Explanation, Metric, explain};
pub use figures::{Figures, SourceFigures, figures};
pub use forget::{Forget, Forgot};
#[cfg(test)]
pub(crate) use fulltext::TOKENIZE;
pub use lock::StoreLock;
pub use maintain::{Maintain, Maintained};
pub use open::open_reader;
pub use overview::{Overview, overview};
pub use patience::stop_waiting;
pub use person::{Person, Who};
pub use query::{Beside, ConversationHead, Line, TranscriptError, find_conversation, transcript};
pub use raw::raw_record;
pub use replay::{Replay, Replayed};
pub use run::{LastReads, MessageList, RunMode, RunStatus, SourceRow, stored_provider};
pub use schema::SCHEMA_VERSION;
pub use search::{Found, Hit, Piece, Wanted, search};
pub use search_check::search_problem;
pub use snapshot::{Cell, Cut, Part, Snapshot};
pub use status::{Configured, ShownCursor, SourceStatus, StatusReport, StoreInfo, StreamStatus, status};
pub use verify::{Gap, changed_texts, integrity, kept, known_gaps, source_names, until};
pub use views::{Column, Kind, USUAL_VIEWS, VIEWS, View};
pub use work::{Place as QueuePlace, StaleConversation, UnknownIds};
pub use writer::{Posted, Store, WriterThread};
