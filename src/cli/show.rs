//! `chatloom show`.

use super::Exit;

/// Options of `show`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_args: &Args, _config: &crate::config::Config) -> Exit {
    Exit::Fine
}
