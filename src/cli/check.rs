//! `chatloom check`.

use super::Exit;

/// Options of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) async fn run(_args: Args, _config: &crate::config::Config) -> Exit {
    Exit::Fine
}
