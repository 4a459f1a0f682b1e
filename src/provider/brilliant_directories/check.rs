//! `chatloom check`: the key, then every endpoint that is read, each with what to do when it fails.

use super::query;
use super::stream::{self, List, MESSAGES, THREAD_IDS};
use super::{BrilliantDirectories, fetch, zone};
use crate::http::{Disposition, FetchError};
use crate::provider::{Checked, Provider as _};

/// Rows asked for to see whether an endpoint answers: the provider's own default.
const PROBE_ROWS: u32 = 25;

impl BrilliantDirectories {
    /// Tries everything once. Nothing more is asked when the key or the address is no good.
    pub(super) async fn check_all(&self) -> Vec<Checked> {
        let key = self.ask(fetch::VERIFY, &query::Query::new()).await;
        let hopeless = key.as_ref().is_err_and(|error| error.disposition() == Disposition::StopSource);
        let mut lines = vec![Checked {
            what: "key".to_owned(),
            result: key.map(|_| "accepted".to_owned()).map_err(|error| self.with_step(&error)),
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
                .map_err(|error| format!("members stay without a name: {}", self.told(&error, &what))),
            what,
            optional: true,
        });
        lines.push(self.check_zone().await);
        lines
    }

    /// A list is asked for in its order, as it is read: a site may answer, and yet refuse to sort.
    async fn check_list(&self, list: List) -> Checked {
        let what = format!("{}/get", list.model);
        let result = match self.ask(&[list.model, "get"], &query::first(list, PROBE_ROWS)).await {
            Ok(envelope) => {
                let strange =
                    envelope.rows.iter().any(|row| stream::record(list, row.clone(), None, None).id.is_none());
                match envelope.total {
                    _ if strange => Err(format!("the rows carry no `{}`: this is not the documented table", list.id)),
                    Some(total) => Ok(format!("{total} rows")),
                    None => Ok("answers".to_owned()),
                }
            }
            Err(error) if fetch::says_empty(&error, list) => match self.prove_empty(list, list.column, &error).await {
                Ok(()) => Ok("0 rows".to_owned()),
                Err(error) => Err(self.with_step(&error)),
            },
            Err(error) => Err(self.told(&error, &what)),
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
            result: result
                .map(|name| format!("the site's time zone is {name}"))
                .map_err(|error| self.with_step(&error)),
            optional: false,
        }
    }

    /// The error of a list, with what to allow where it does not already say so.
    fn told(&self, error: &FetchError, endpoint: &str) -> String {
        match error {
            FetchError::NotFound { .. } | FetchError::Rejected { .. } => {
                format!("{error}; {}", fetch::advice(endpoint))
            }
            _ => self.with_step(error),
        }
    }

    /// The error, with what to do about it.
    fn with_step(&self, error: &FetchError) -> String {
        self.advice(error).map_or_else(|| error.to_string(), |step| format!("{error}; {step}"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::http::{Http, HttpSettings, Pacer};
    use crate::provider::brilliant_directories::Settings;

    fn site() -> BrilliantDirectories {
        let settings = HttpSettings {
            base_url: "http://127.0.0.1:9/".parse().unwrap(),
            auth_header: "X-Api-Key",
            auth_value: "made-up-key".into(),
            private_network: false,
            roots: Vec::new(),
            timeout: Duration::from_secs(20),
            max_body_bytes: 10_000,
            subject: crate::telemetry::Subject::nobody(),
        };
        let http = Http::new(settings, Arc::new(Pacer::new(1_000_000)), Default::default()).unwrap();
        BrilliantDirectories::new(http, Arc::default(), Settings::default())
    }

    #[test]
    fn a_failure_comes_with_the_next_step_and_one_that_says_it_already_does_not_say_it_twice() {
        let endpoint = || "api/v2/user/get".to_owned();
        let unreachable =
            FetchError::Unavailable { endpoint: endpoint(), tries: 5, cause: String::new(), unreachable: true };
        let refused = FetchError::Unauthorized { endpoint: endpoint(), detail: String::new() };
        let forbidden = FetchError::Forbidden { endpoint: endpoint(), detail: "allow it".to_owned() };
        let site = site();
        let both = |error: &FetchError| [site.with_step(error), site.told(error, "user/get")];
        assert!(both(&unreachable).iter().all(|said| said.ends_with("; check base_url and this machine's network")));
        assert!(both(&refused).iter().all(|said| said.contains("Developer Hub")));
        assert!(both(&forbidden).iter().all(|said| said.matches("allow").count() == 1));
        let missing = FetchError::NotFound { endpoint: endpoint(), status: 404, detail: String::new() };
        assert!(site.told(&missing, "user/get").contains("allow `user/get`"));
    }
}
