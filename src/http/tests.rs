//! The stories of a request, against a server that plays a script.

mod answers;
mod places;
mod retries;
mod server;

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::retry::Policy;
use super::{FetchError, Http, HttpSettings, Pacer, parse};

const KEY: &str = "made-up-key-0123456789";
const CAP: u64 = 100_000;

/// The contract's order of magnitude in milliseconds instead of seconds.
fn quick() -> Policy {
    Policy {
        first: Duration::from_millis(2),
        longest: Duration::from_millis(10),
        unspoken: Duration::from_millis(150),
        patience: Duration::from_secs(3),
        least: Duration::from_millis(20),
        ..Policy::default()
    }
}

fn settings(base: &str) -> HttpSettings {
    HttpSettings {
        base_url: Url::parse(base).unwrap(),
        auth_header: "Authorization",
        auth_value: SecretString::from(format!("Bearer {KEY}")),
        private_network: false,
        roots: Vec::new(),
        timeout: Duration::from_secs(20),
        max_body_bytes: CAP,
        subject: crate::telemetry::Subject::nobody(),
    }
}

fn http_with(settings: HttpSettings, policy: Policy, pacer: &Arc<Pacer>, cancel: &CancellationToken) -> Http {
    Http::with_policy(settings, Arc::clone(pacer), cancel.clone(), policy).unwrap()
}

/// A quick client of a server, with the prefix `/api`.
fn http(server: &server::Server) -> Http {
    let base = format!("http://{}/api", server.address);
    http_with(settings(&base), quick(), &Arc::new(Pacer::new(1_000_000)), &CancellationToken::new())
}

async fn get(http: &Http) -> Result<Value, FetchError> {
    http.get(&["threads", "7"], &[("page", "a+b=")], parse).await
}
