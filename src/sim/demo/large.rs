//! Plain data in large amounts, for tests of size and completeness.

use crate::sim::bd::BdData;
use crate::sim::rng::Rng;
use crate::sim::sitegpt::SitegptData;
use crate::sim::zaia::ZaiaData;

const MESSAGES_PER_CONVERSATION: usize = 10;
/// Between the messages of one conversation, in milliseconds.
const STEP_MS: i64 = 20_000;

/// When conversation number `index` of `count` starts: spread evenly over the 300 days before `now_ms`.
fn start(rng: &mut Rng, index: usize, count: usize, now_ms: i64) -> i64 {
    let share = |part: usize| i64::try_from(part).unwrap_or_default();
    let span = 300 * super::script::DAY;
    now_ms - span - super::script::DAY + span / share(count).max(1) * share(index) + rng.between(0, 9_999)
}

/// Yields, per conversation, its number, start and how many messages it has.
fn conversations(seed: u64, messages: usize, now_ms: i64) -> impl Iterator<Item = (usize, i64, usize)> {
    let count = messages.div_ceil(MESSAGES_PER_CONVERSATION);
    let mut rng = Rng::new(seed);
    (0..count).map(move |index| {
        let left = messages - index * MESSAGES_PER_CONVERSATION;
        (index, start(&mut rng, index, count, now_ms), left.min(MESSAGES_PER_CONVERSATION))
    })
}

fn at(start: i64, n: usize) -> i64 {
    start + STEP_MS * i64::try_from(n).unwrap_or_default()
}

/// A directory site with exactly so many messages, ten to a thread.
#[must_use]
pub fn large_bd(seed: u64, messages: usize, now_ms: i64) -> BdData {
    let mut data = BdData::new();
    let members = [data.add_user("Ada", "Quill"), data.add_user("Ben", "Marsh")];
    let [owner, responder] = &members;
    for (index, start, size) in conversations(seed, messages, now_ms) {
        let thread = data.add_thread(owner, responder, start);
        for n in 0..size {
            let who = if n % 2 == 0 { owner } else { responder };
            data.add_message(&thread, who, at(start, n), &format!("thread {index}, message {n}"));
        }
    }
    data
}

/// A workspace with exactly so many messages, ten to a chat.
#[must_use]
pub fn large_zaia(seed: u64, messages: usize, now_ms: i64) -> ZaiaData {
    let mut data = ZaiaData::new();
    let channel = data.add_channel("whatsapp", "WhatsApp");
    let agent = data.add_agent("Iris");
    for (index, start, size) in conversations(seed, messages, now_ms) {
        let owner = data.add_external_user(&channel, Some(&format!("1202555{index:06}")), None);
        let chat = data.add_chat(Some(&channel), &owner, &agent, start);
        for n in 0..size {
            let (role, who) = if n % 2 == 0 { ("user", &owner) } else { ("assistant", &agent) };
            data.add_message(&chat, role, Some(who), at(start, n), &format!("chat {index}, message {n}"));
        }
    }
    data
}

/// An account with one chatbot and exactly so many message rows (each a question with its answer), ten to a thread.
#[must_use]
pub fn large_sitegpt(seed: u64, rows: usize, now_ms: i64) -> SitegptData {
    let mut data = SitegptData::new();
    let bot = data.add_chatbot("Large");
    for (index, start, size) in conversations(seed, rows, now_ms) {
        let thread = data.add_thread(&bot, start);
        for n in 0..size {
            let question = format!("thread {index}, question {n}");
            data.add_normal(&thread, (&question, at(start, n)), ("answer", at(start, n) + 2_000));
        }
    }
    data
}

#[cfg(test)]
mod tests {
    use super::{large_bd, large_sitegpt, large_zaia};

    #[test]
    fn sizes_are_exact() {
        let now = 1_772_355_600_000;
        assert_eq!(large_bd(1, 2_345, now).truth().messages.len(), 2_345);
        assert_eq!(large_zaia(1, 1_001, now).truth().messages.len(), 1_001);
        assert_eq!(large_sitegpt(1, 55, now).truth().messages.len(), 110);
        assert!(large_bd(1, 0, now).threads.is_empty());
    }
}
