//! Writes what a package holds besides the binary and the units (man pages, shell completions, configuration), and the bill
//! of materials that lies beside it.
//!
//! `cargo run --example package -- FOLDER`. An example, so that the generators are not part of the binary.
#![expect(clippy::print_stderr, reason = "a tool of the build has no logs")]

mod pages;
mod sbom;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("which folder? cargo run --example package -- FOLDER");
        return ExitCode::from(2);
    };
    let folder = Path::new(&folder);
    let bill = || sbom::document(Path::new(env!("CARGO_MANIFEST_DIR")));
    let written = pages::write(folder).and_then(|()| std::fs::write(folder.join("chatloom.cdx.json"), bill()?));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}
