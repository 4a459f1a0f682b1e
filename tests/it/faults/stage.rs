//! What the rows of faults share: the three providers behind proxies, and how a story ends.

use std::time::Duration;

use chatloom::sim::bd::BdData;
use chatloom::sim::sitegpt::SitegptData;
use chatloom::sim::zaia::ZaiaData;
use chatloom::sim::{BdSim, SitegptSim, ZaiaSim};
use serde_json::Value;

use super::proxy::Proxy;
use crate::failures::Everybody;
use crate::harness::{Home, NOW_MS, Run, source};

/// The three providers, each behind a proxy of its own.
pub(crate) struct Stage {
    pub(crate) all: Everybody,
    pub(crate) bd: Proxy,
    pub(crate) zaia: Proxy,
    pub(crate) sitegpt: Proxy,
}

/// One source as a fault sees it.
#[derive(Clone, Copy)]
pub(crate) struct Door<'a> {
    pub(crate) name: &'static str,
    pub(crate) proxy: &'a Proxy,
    /// The path under which all its requests stand.
    pub(crate) all: &'static str,
    /// The path under which its conversations and messages stand.
    pub(crate) talk: &'static str,
}

/// Waits before a further try are so many times shorter in these stories.
pub(crate) const HASTE: &str = "haste=20";

impl Stage {
    pub(crate) async fn start() -> Self {
        Self::around(Everybody::start().await).await
    }

    /// Providers whose lists fill several pages, with little in each conversation.
    pub(crate) async fn paged() -> Self {
        let (bd, zaia, sitegpt) = paged_worlds();
        Self::with(bd, zaia, sitegpt).await
    }

    /// Providers with data of one's own.
    pub(crate) async fn with(bd: BdData, zaia: ZaiaData, sitegpt: SitegptData) -> Self {
        Self::around(Everybody {
            bd: BdSim::start(bd).await.unwrap(),
            zaia: ZaiaSim::start(zaia).await.unwrap(),
            sitegpt: SitegptSim::start(sitegpt).await.unwrap(),
        })
        .await
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

    /// Every source: its name, its proxy, the path of all its requests, and the path of its conversations and messages.
    pub(crate) fn doors(&self) -> [Door<'_>; 4] {
        [
            Door { name: "bd", proxy: &self.bd, all: "/api/v2/", talk: "/api/v2/chat_message" },
            Door { name: "zaia", proxy: &self.zaia, all: "/api/v1/", talk: "/api/v1/chat" },
            Door { name: "v0", proxy: &self.sitegpt, all: "/api/v0/", talk: "/api/v0/chatbots" },
            Door { name: "v2", proxy: &self.sitegpt, all: "/api/v2/", talk: "/api/v2/chatbots" },
        ]
    }

    /// Something new everywhere, so that there is something to miss.
    pub(crate) fn news(&self, text: &str, at_ms: i64) {
        {
            let mut world = self.all.bd.world();
            let (thread, owner) = (world.data.threads[1].token.clone(), world.data.threads[1].owner.clone());
            world.data.add_message(&thread, &owner, at_ms, text);
        }
        {
            let mut world = self.all.zaia.world();
            let (chat, owner) = (world.data.chats[1].id.clone(), world.data.chats[1].owner.clone());
            world.data.add_message(&chat, "user", Some(&owner), at_ms, text);
        }
        let mut world = self.all.sitegpt.world();
        let thread = world.data.threads[1].id.clone();
        world.data.add_user(&thread, text, at_ms);
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

/// The end of every wait for an event: many rows are played at a time, and some of them are heavy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// Lists of several pages, and little in each conversation.
pub(crate) fn paged_worlds() -> (BdData, ZaiaData, SitegptData) {
    let (mut bd, mut zaia, mut sitegpt) = (BdData::new(), ZaiaData::new(), SitegptData::new());
    let (ada, ben) = (bd.add_user("Ada", "Quill"), bd.add_user("Ben", "Marsh"));
    let (channel, agent) = (zaia.add_channel("whatsapp", "WhatsApp"), zaia.add_agent("Iris"));
    let bot = sitegpt.add_chatbot("Shop");
    for n in 0..110_i64 {
        let at = NOW_MS - 86_400_000 * 30 + n * 600_000;
        let thread = bd.add_thread(&ada, &ben, at);
        let owner = zaia.add_external_user(&channel, Some(&format!("1202555{n:04}")), None);
        let chat = zaia.add_chat(Some(&channel), &owner, &agent, at);
        let talk = sitegpt.add_thread(&bot, at);
        for m in 0..3 {
            let sent = at + m * 20_000;
            bd.add_message(&thread, if m == 1 { &ben } else { &ada }, sent, &format!("thread {n}, message {m}"));
            let (role, who) = if m == 1 { ("assistant", &agent) } else { ("user", &owner) };
            zaia.add_message(&chat, role, Some(who), sent, &format!("chat {n}, message {m}"));
        }
        sitegpt.add_normal(&talk, (&format!("question {n}"), at), (&format!("answer {n}"), at + 2_000));
        sitegpt.add_user(&talk, &format!("and {n}"), at + 60_000);
        if n % 5 == 0 {
            sitegpt.add_system(&talk, "EMAIL_VERIFIED", "verified", at + 70_000);
        }
    }
    (bd, zaia, sitegpt)
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
