//! Everything that is printed goes through here: broken pipes are no panic, and what visitors wrote is never
//! interpreted by a terminal.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) use crate::page::{tame, tame_line};
use crate::telemetry::tame_json;

/// A result could not be printed, and that was told.
static LOST: AtomicBool = AtomicBool::new(false);

/// Prints a result. A reader that went away (`| head`) is no failure; a full disk is one, see [`lost_something`].
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let printed = out
        .write_all(text.as_bytes())
        .and_then(|()| if text.ends_with('\n') { Ok(()) } else { out.write_all(b"\n") })
        .and_then(|()| out.flush());
    if let Err(error) = printed
        && error.kind() != std::io::ErrorKind::BrokenPipe
        && !LOST.swap(true, Ordering::Relaxed)
    {
        complain(&format!("cannot write the result: {error}"));
    }
}

/// Whether a result could not be printed.
pub(crate) fn lost_something() -> bool {
    LOST.load(Ordering::Relaxed)
}

/// Prints a document as JSON: every value exact, and what could steer a terminal written as `\uXXXX`.
pub(crate) fn print_json<T: serde::Serialize>(document: &T) {
    match serde_json::to_string_pretty(document) {
        Ok(json) => print(&tame_json(&json)),
        Err(error) => complain(&format!("cannot write the result as JSON: {error}")),
    }
}

/// Tells the operator something on stderr. Whatever it quotes does nothing to the terminal.
pub(crate) fn complain(text: &str) {
    let text = tame(text);
    if !super::unread::take(&format!(
        "chatloom: {text}
"
    )) {
        drop(writeln!(std::io::stderr().lock(), "chatloom: {text}"));
    }
}

/// The same for a text that says itself who speaks, line ends included.
pub(crate) fn warn(text: &str) {
    drop(std::io::stderr().lock().write_all(text.as_bytes()));
}

/// Asks the operator something on stderr; the answer is typed behind it.
pub(crate) fn ask(text: &str) {
    let mut err = std::io::stderr().lock();
    drop(write!(err, "{text}").and_then(|()| err.flush()));
}
