//! `chatloom demo`.

use super::Exit;

/// Options of `demo`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) async fn run(_args: Args) -> Exit {
    Exit::Fine
}
