//! What goes wrong, and that nothing is lost by it: the next pass after the fault is lifted brings the rest.

mod configuration;
mod healing;
mod letters;
mod refusals;
mod stops;
mod store;

use chatloom::sim::{BdSim, SitegptSim, ZaiaSim, demo};

use crate::harness::{Home, NOW_MS, assert_same, bd_source, copy_of, sitegpt_source, wanted, zaia_source};

/// The three providers with some hundred messages each, read by four sources.
pub(crate) struct Everybody {
    pub(crate) bd: BdSim,
    pub(crate) zaia: ZaiaSim,
    pub(crate) sitegpt: SitegptSim,
}

impl Everybody {
    pub(crate) async fn start() -> Self {
        let worlds = demo::worlds(4, NOW_MS);
        Self {
            bd: BdSim::start(worlds.bd).await.unwrap(),
            zaia: ZaiaSim::start(worlds.zaia).await.unwrap(),
            sitegpt: SitegptSim::start(worlds.sitegpt).await.unwrap(),
        }
    }

    pub(crate) fn config(&self) -> String {
        format!(
            "{}{}{}{}",
            bd_source("bd", &self.bd),
            zaia_source("zaia", &self.zaia),
            sitegpt_source("v0", &self.sitegpt, "v0"),
            sitegpt_source("v2", &self.sitegpt, "v2")
        )
    }

    pub(crate) fn assert_exact(&self, home: &Home, source: &str) {
        let truth = match source {
            "bd" => self.bd.world().data.truth(),
            "zaia" => self.zaia.world().data.truth(),
            _ => self.sitegpt.world().data.truth(),
        };
        assert_same(&copy_of(home, source), &wanted(&truth));
    }

    pub(crate) fn assert_all_exact(&self, home: &Home) {
        for source in ["bd", "zaia", "v0", "v2"] {
            self.assert_exact(home, source);
        }
        assert_eq!(home.rows("PRAGMA integrity_check"), ["ok"]);
        assert_eq!(crate::metrics::differing(&home.open()), 0);
        assert!(chatloom::store::changed_texts(&home.open()).unwrap().is_empty());
        assert_eq!(home.number("SELECT count(*) FROM pragma_foreign_key_check"), 0);
        assert_eq!(home.number("SELECT count(*) FROM conversations WHERE complete = 0"), 0);
    }
}

/// One source's part of a report.
fn part<'r>(report: &'r serde_json::Value, source: &str) -> &'r serde_json::Value {
    report["sources"].as_array().unwrap().iter().find(|part| part["name"] == source).unwrap()
}

/// Fails unless the text has all of these in it.
#[track_caller]
pub(crate) fn assert_says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` is missing in: {text}");
    }
}
