//! The readers that people use besides chatloom (Datasette, DuckDB, pandas, a browser), from `target/readers`, where
//! `sh tests/setup.sh readers` puts them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A program of the readers' environment, such as `python` or `datasette`.
pub(crate) fn tool(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/readers/bin").join(name);
    assert!(path.exists(), "{} is missing: run `sh tests/setup.sh readers` first", path.display());
    path
}

/// A script of `tests/readers`, ready to be given arguments.
pub(crate) fn script(name: &str) -> Command {
    let mut command = Command::new(tool("python"));
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers").join(name))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// What a program printed that must go well.
pub(crate) fn said(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("it starts");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{stdout}\n{stderr}");
    stdout
}
