//! What the rows of faults share: the three providers behind proxies, and how a story ends.

use serde_json::Value;

use super::proxy::Proxy;
use crate::failures::Everybody;
use crate::harness::{Home, Run, source};

/// The three providers, each behind a proxy of its own.
pub(crate) struct Stage {
    pub(crate) all: Everybody,
    pub(crate) bd: Proxy,
    pub(crate) zaia: Proxy,
    pub(crate) sitegpt: Proxy,
}

/// Waits before a further try are so many times shorter in these stories.
pub(crate) const HASTE: &str = "haste=20";

impl Stage {
    pub(crate) async fn start() -> Self {
        Self::around(Everybody::start().await).await
    }

    /// The same in front of other worlds.
    pub(crate) async fn around(all: Everybody) -> Self {
        let bd = Proxy::before(all.bd.addr()).await;
        let zaia = Proxy::before(all.zaia.addr()).await;
        let sitegpt = Proxy::before(all.sitegpt.addr()).await;
        Self { all, bd, zaia, sitegpt }
    }

    /// One source named `bd`, with further settings.
    pub(crate) fn bd_source(&self, more: &str) -> String {
        source("bd", "brilliant_directories", &self.bd.base_url(), "bd-key", more)
    }

    /// One source named `zaia`, with further settings.
    pub(crate) fn zaia_source(&self, more: &str) -> String {
        source("zaia", "zaia", &self.zaia.base_url(), "zaia-key", more)
    }

    /// One source named `v0` or `v2`, with further settings.
    pub(crate) fn sitegpt_source(&self, api: &str, more: &str) -> String {
        let key = if api == "v0" { "sitegpt-key" } else { "sgpt_test" };
        source(api, "sitegpt", &self.sitegpt.base_url(), key, &format!("api = \"{api}\"\n{more}"))
    }

    /// Sources `bd`, `zaia`, `v0` and `v2`, each with the same further settings.
    pub(crate) fn config(&self, more: &str) -> String {
        [self.bd_source(more), self.zaia_source(more), self.sitegpt_source("v0", more), self.sitegpt_source("v2", more)]
            .concat()
    }

    /// A folder with all sources.
    pub(crate) fn home(&self, more: &str) -> Home {
        Home::new(&self.config(more))
    }

    /// Lifts every fault.
    pub(crate) fn heal(&self) {
        [&self.bd, &self.zaia, &self.sitegpt].into_iter().for_each(Proxy::heal);
    }

    /// With the faults lifted, one pass brings what is missing: the store holds what the providers hold.
    pub(crate) async fn assert_heals(&self, home: &Home) {
        self.heal();
        let healed = sync(home).await;
        assert_eq!(healed.code, 0, "{}\n{}", healed.stdout, healed.stderr);
        let mut sources = home.rows("SELECT name FROM sources ORDER BY name");
        sources.retain(|name| self.names().contains(&name.as_str()));
        assert!(!sources.is_empty());
        sources.iter().for_each(|name| self.all.assert_exact(home, name));
        assert_eq!(home.rows("PRAGMA integrity_check"), ["ok"]);
        assert_eq!(home.number("SELECT count(*) FROM pragma_foreign_key_check"), 0);
    }

    fn names(&self) -> [&'static str; 4] {
        ["bd", "zaia", "v0", "v2"]
    }
}

/// `sync --json`, with short waits.
pub(crate) async fn sync(home: &Home) -> Run {
    sync_with(home, HASTE).await
}

/// `sync --json` with other faults of the process (see `store::failpoint`).
pub(crate) async fn sync_with(home: &Home, faults: &str) -> Run {
    let mut command = home.command(&["sync", "--json"], "chatloom=debug");
    command.env("CHATLOOM_FAULTS", faults);
    crate::harness::run(command).await
}

/// One source's part of what `sync --json` printed.
pub(crate) fn part(run: &Run, source: &str) -> Value {
    let report = run.json();
    let parts = report["sources"].as_array().unwrap();
    parts.iter().find(|part| part["name"] == source).unwrap_or_else(|| panic!("{source}: {report}")).clone()
}

/// Gaps between the requests that a proxy saw for a path, in milliseconds.
pub(crate) fn gaps(proxy: &Proxy, path: &str) -> Vec<u128> {
    let times: Vec<_> =
        proxy.seen().into_iter().filter(|seen| seen.target.starts_with(path)).map(|seen| seen.at).collect();
    times.windows(2).map(|two| two[1].duration_since(two[0]).as_millis()).collect()
}
