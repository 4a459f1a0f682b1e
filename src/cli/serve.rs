//! `chatloom serve`.

use tokio_util::sync::CancellationToken;

use super::signals::Signals;
use super::{Exit, logging, output, reporting};
use crate::app::{clock, watched};
use crate::config::Config;
use crate::store::browse::reporting_zone;
use crate::store::open_reader;
use crate::web::{self, Board};

/// Serves what the store tells until a signal comes. Being stopped is how this command ends well.
pub(super) async fn run(config: &Config) -> Exit {
    logging::start_service();
    let Some(http) = &config.http else {
        output::complain(
            "the configuration has no [http] table, so there is nothing to serve; add the line [http] to serve on \
             127.0.0.1:8787",
        );
        return Exit::Usage;
    };
    // A store that cannot be read is what the pages themselves tell of.
    if let Ok(zone) = open_reader(&config.store_path).and_then(|store| reporting_zone(&store)) {
        reporting::tell_if_behind(config, &zone);
    }
    let signals = Signals::listen();
    let board = Board::new(config.store_path.clone(), watched(config), clock());
    let cancel: CancellationToken = signals.cancel.clone();
    match web::start(http.listen, http.token.clone(), board, cancel).await {
        Ok(served) => {
            served.ended().await;
            Exit::Fine
        }
        Err(error) => {
            output::complain(&error.to_string());
            Exit::Failed
        }
    }
}
