//! The binary: parses arguments, runs, and turns the outcome into an exit code. All else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    chatloom::cli::main()
}
