//! `chatloom check`: the key, then every endpoint that is read, each with what to do when it fails.

use super::query;
use super::stream::{self, List, MESSAGES, THREAD_IDS};
use super::{BrilliantDirectories, fetch, zone};
use crate::http::{Disposition, FetchError};
use crate::provider::Checked;

/// Rows asked for to see whether an endpoint answers: the provider's own default.
const PROBE_ROWS: u32 = 25;

impl BrilliantDirectories {
    /// Tries everything once. Nothing more is asked when the key or the address is no good.
    pub(super) async fn check_all(&self) -> Vec<Checked> {
        let key = self.ask(fetch::VERIFY, &query::Query::new()).await;
        let hopeless = key.as_ref().is_err_and(|error| error.disposition() == Disposition::StopSource);
        let mut lines = vec![Checked {
            what: "key".to_owned(),
            result: key.map(|_| "accepted".to_owned()).map_err(|error| error.to_string()),
            optional: false,
        }];
        if hopeless {
            return lines;
        }
        for stream in [THREAD_IDS, MESSAGES] {
            if let Some(list) = stream::list(stream) {
                lines.push(self.check_list(list).await);
            }
        }
        let what = fetch::USER.join("/");
        let result = self.ask(fetch::USER, &query::probe(PROBE_ROWS)).await;
        lines.push(Checked {
            result: result
                .map(|_| "members can be named".to_owned())
                .map_err(|error| format!("members stay without a name: {}", told(&error, &what))),
            what,
            optional: true,
        });
        lines.push(self.check_zone().await);
        lines
    }

    async fn check_list(&self, list: List) -> Checked {
        let what = format!("{}/get", list.model);
        let result = match self.ask(&[list.model, "get"], &query::probe(PROBE_ROWS)).await {
            Ok(envelope) => {
                let strange =
                    envelope.rows.iter().any(|row| stream::record(list, row.clone(), None, None).id.is_none());
                match envelope.total {
                    _ if strange => Err(format!("the rows carry no `{}`: this is not the documented table", list.id)),
                    Some(total) => Ok(format!("{total} rows")),
                    None => Ok("answers".to_owned()),
                }
            }
            Err(error) if fetch::says_empty(&error, list) => Ok("0 rows".to_owned()),
            Err(error) => Err(told(&error, &what)),
        };
        Checked { what, result, optional: false }
    }

    async fn check_zone(&self) -> Checked {
        let what = fetch::SITE_INFO.join("/");
        if let Some(name) = &self.settings.timezone {
            let result = match zone::parse(name) {
                Some(_) => Ok(format!("not needed: the configuration names the time zone {name}")),
                None => Err(format!("the configured time zone {name:?} is not known; {}", zone::ADVICE)),
            };
            let optional = result.is_ok();
            return Checked { what, result, optional };
        }
        let result = self.site_zone().await;
        Checked {
            what,
            result: result.map(|name| format!("the site's time zone is {name}")).map_err(|error| error.to_string()),
            optional: false,
        }
    }
}

/// The error, with what to allow where it does not already say so.
fn told(error: &FetchError, endpoint: &str) -> String {
    let said = error.to_string();
    match error {
        FetchError::NotFound { .. } | FetchError::Rejected { .. } => {
            format!("{said}; {}", fetch::advice(endpoint))
        }
        _ => said,
    }
}
