//! Stories: the built binary against simulated providers over real HTTP, judged by what stands in the SQLite file.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod again;
mod cursors;
mod harness;
mod identity;
mod main_job;
mod rename;
mod verify;
mod zone;
