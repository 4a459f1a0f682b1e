//! Writes what a package holds besides the binary and the units: man pages, shell completions, configuration.
//!
//! `cargo run --example package -- FOLDER`. An example, so that the generators are not part of the binary.
#![expect(clippy::print_stderr, reason = "a tool of the build has no logs")]

mod pages;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("which folder? cargo run --example package -- FOLDER");
        return ExitCode::from(2);
    };
    match pages::write(Path::new(&folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", Path::new(&folder).display());
            ExitCode::FAILURE
        }
    }
}
