//! chatloom brings the conversations of several chat providers into one SQLite file.
//!
//! The way of a record:
//!
//! ```text
//! worker (one per source) -> page of a feed, or one conversation -> raw records
//!   -> normalise (pure) -> batch -> store.commit (rows + rejects + cursor + counters: ONE transaction)
//! ```
//!
//! Imports point down only: `cli -> app -> {sync, web, search, export} -> page -> {provider, store} -> {http, normalise} -> model`, with
//! `telemetry` below all that tell something.
//! A test (`tests/it/imports.rs`) keeps it so.

pub mod app;
pub mod cli;
pub mod config;
pub mod export;
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
pub mod model;
pub mod normalise;
pub mod page;
pub mod provider;
pub mod search;
pub mod sim;
pub mod store;
pub mod sync;
pub mod telemetry;
pub mod web;
