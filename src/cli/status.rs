//! `chatloom status`.

use super::Exit;

/// Options of `status`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_args: &Args, _config: &crate::config::Config) -> Exit {
    Exit::Fine
}
