//! stub

/// Keeps one credential's requests within its rate.
#[derive(Debug)]
pub struct Pacer;
