//! Passes over sources.

pub mod walk;
