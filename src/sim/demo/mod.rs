//! Believable data for `chatloom demo` and for tests: three providers with some hundred conversations, made from a seed.

mod directory;
mod large;
mod lines;
mod lines_east;
mod lines_west;
mod people;
mod script;
mod shop_bots;
mod workspace;

pub use large::{large_bd, large_sitegpt, large_zaia};

use super::bd::BdData;
use super::rng::Rng;
use super::sitegpt::SitegptData;
use super::zaia::ZaiaData;

/// The three providers of the demonstration. Some people write through more than one of them.
#[derive(Debug, Clone)]
pub struct DemoWorlds {
    /// About 120 threads and 900 messages.
    pub bd: BdData,
    /// About 150 chats and 1,100 messages on a widget, WhatsApp and Instagram.
    pub zaia: ZaiaData,
    /// Two chatbots with about 140 threads.
    pub sitegpt: SitegptData,
}

/// Makes the three providers with a history of 60 days before `now_ms`. The same seed and time give the same data.
#[must_use]
pub fn worlds(seed: u64, now_ms: i64) -> DemoWorlds {
    let mut rng = Rng::new(seed);
    let people = people::people(&mut rng, 300);
    DemoWorlds {
        bd: directory::make(&mut rng, &people, now_ms),
        zaia: workspace::make(&mut rng, &people, now_ms),
        sitegpt: shop_bots::make(&mut rng, &people, now_ms),
    }
}

/// Lets some time pass at the directory: new messages, one edit, messages read, a thread deleted.
pub fn evolve_bd(data: &mut BdData, seed: u64, now_ms: i64) {
    directory::evolve(data, &mut Rng::new(seed ^ 0xBD), now_ms);
}

/// Lets some time pass in the workspace: new messages, a new chat, an edit, a new title, a chat removed.
pub fn evolve_zaia(data: &mut ZaiaData, seed: u64, now_ms: i64) {
    workspace::evolve(data, &mut Rng::new(seed ^ 0x3A1A), now_ms);
}

/// Lets some time pass at the chatbots: new exchanges, a late vote, an escalation, a thread removed.
pub fn evolve_sitegpt(data: &mut SitegptData, seed: u64, now_ms: i64) {
    shop_bots::evolve(data, &mut Rng::new(seed ^ 0x517E), now_ms);
}

/// [`evolve_bd`], [`evolve_zaia`] and [`evolve_sitegpt`] on data that is not being served yet.
pub fn evolve(worlds: &mut DemoWorlds, seed: u64, now_ms: i64) {
    evolve_bd(&mut worlds.bd, seed, now_ms);
    evolve_zaia(&mut worlds.zaia, seed, now_ms);
    evolve_sitegpt(&mut worlds.sitegpt, seed, now_ms);
}

#[cfg(test)]
mod tests {
    use super::{evolve, worlds};
    use crate::sim::Truth;

    const NOW: i64 = 1_772_355_600_000; // 2026-03-01 09:00 UTC

    fn truths(seed: u64) -> [Truth; 3] {
        let made = worlds(seed, NOW);
        [made.bd.truth(), made.zaia.truth(), made.sitegpt.truth()]
    }

    #[test]
    fn a_seed_always_makes_the_same_worlds() {
        assert_eq!(truths(7), truths(7));
        assert_ne!(truths(7), truths(8));
    }

    #[test]
    fn the_worlds_have_a_believable_size_and_end_before_now() {
        let [bd, zaia, sitegpt] = truths(1);
        for (truth, conversations) in [(bd, 120), (zaia, 150), (sitegpt, 140)] {
            assert_eq!(truth.conversations.len(), conversations);
            assert!((6..9).contains(&(truth.messages.len() / conversations)), "{}", truth.messages.len());
            let times = || truth.messages.values().filter_map(|message| message.sent_at_ms);
            assert!(times().all(|at| (NOW - 61 * 86_400_000..NOW).contains(&at)));
            let texts: String = truth.messages.values().map(|message| message.text.as_str()).collect();
            for letter in ['ה', 'ا', 'い', 'ã', 'ä', '¿', '🙂'] {
                assert!(texts.contains(letter), "every language has its say: {letter}");
            }
        }
    }

    #[test]
    fn time_brings_news_to_every_provider() {
        let mut made = worlds(1, NOW);
        let before = [made.bd.truth(), made.zaia.truth(), made.sitegpt.truth()];
        evolve(&mut made, 1, NOW + 3_600_000);
        for (before, after) in before.iter().zip([made.bd.truth(), made.zaia.truth(), made.sitegpt.truth()]) {
            assert!(after.messages.len() > before.messages.len());
            let edited = |(id, message)| before.messages.get(id).is_some_and(|old| old != message);
            assert!(after.messages.iter().any(edited), "something that was there is different now");
            assert!(after.live_conversations() < after.conversations.len(), "something was deleted");
        }
    }
}
