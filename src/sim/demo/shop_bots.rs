//! The demonstration's SiteGPT account: a shop's bot and a help desk's bot.

use super::people::Person;
use super::script::{BOT, DESK, MINUTE, play, start};
use crate::sim::rng::Rng;
use crate::sim::sitegpt::{MessageType, Side, SitegptData};

const SOURCES: &[&str] =
    &["https://shop.example.test/delivery", "https://shop.example.test/returns", "https://help.example.test/account"];

pub(super) fn make(rng: &mut Rng, people: &[Person], now_ms: i64) -> SitegptData {
    let mut data = SitegptData::new();
    let bots = [data.add_chatbot("Shop assistant"), data.add_chatbot("Help desk")];
    for person in people.iter().skip(120).take(140) {
        let Some(bot) = rng.pick(&bots) else { break };
        let at = start(rng, now_ms);
        let thread = data.add_thread(bot, at);
        let (title, turns) = play(rng, person.tongue, person.tongue.shop, at, now_ms, BOT);
        data.change_thread(&thread, |thread| {
            thread.title = Some(title.to_owned());
            thread.page_url = Some("https://shop.example.test/".to_owned());
        });
        let mut end = at;
        for turn in turns {
            let question = Some(Side { text: turn.asked.0, at_ms: turn.asked.1 });
            let answer = turn.answered.map(|(text, at_ms)| Side { text, at_ms });
            end = answer.as_ref().or(question.as_ref()).map_or(end, |side| side.at_ms);
            let id = data.add_exchange(&thread, MessageType::Normal, question, answer);
            let vote = match rng.between(1, 100) {
                1..=9 => 1,
                10..=14 => -1,
                _ => 0,
            };
            let source = rng.chance(45).then(|| rng.word(SOURCES).to_owned());
            data.change_message(&thread, &id, |message| {
                if message.answer.is_some() {
                    message.reaction = vote;
                    message.sources.extend(source);
                }
            });
        }
        if rng.chance(45) {
            let phone = rng.chance(30).then_some(person.phone.as_str());
            data.identify(&thread, Some(&person.name()), Some(&person.email), phone);
        }
        if rng.chance(12) {
            escalate(rng, &mut data, &thread, person, end);
        }
        data.change_thread(&thread, |thread| {
            thread.messages_read = u64::try_from(thread.messages.len()).unwrap_or_default() / 2;
            thread.resolved = rng.chance(40);
            thread.important = rng.chance(5);
        });
    }
    data
}

fn escalate(rng: &mut Rng, data: &mut SitegptData, thread: &str, person: &Person, end: i64) {
    let (ask, reply) = person.tongue.hand_over;
    let asked = end + rng.between(20_000, 2 * MINUTE);
    let replied = asked + rng.between(DESK.0, DESK.1);
    data.add_user(thread, ask, asked);
    data.add_system(thread, "CONVERSATION_ESCALATED", "Conversation escalated to a human", asked + 500);
    data.add_agent(thread, "Emil Hart", reply, replied);
    let thanks = rng.pick(person.tongue.closing).map(|(thanks, _)| *thanks).unwrap_or_default();
    data.add_user(thread, thanks, replied + MINUTE);
    data.change_thread(thread, |thread| thread.agent_mode = true);
}

pub(super) fn evolve(data: &mut SitegptData, rng: &mut Rng, now_ms: i64) {
    let threads: Vec<String> = data.threads.iter().map(|thread| thread.id.clone()).collect();
    for n in 0..4 {
        let Some(thread) = rng.pick(&threads) else { return };
        let at = now_ms - (5 - n) * MINUTE;
        let id = data.add_normal(thread, ("And do you gift-wrap? 🎁", at), ("We do, for free.", at + 3_000));
        data.change_message(thread, &id, |message| message.reaction = 1);
    }
    if let Some(bot) = data.chatbots.first().map(|bot| bot.id.clone()) {
        let thread = data.add_thread(&bot, now_ms - MINUTE);
        data.add_normal(&thread, ("Hello?", now_ms - MINUTE), ("Hello! Ask me anything.", now_ms - MINUTE + 2_000));
    }
    // A vote on an answer that stands deep in its thread.
    let old: Vec<(String, String)> = data
        .threads
        .iter()
        .filter_map(|thread| Some((thread.id.clone(), thread.messages.iter().find(|m| m.answer.is_some())?.id.clone())))
        .collect();
    if let Some((thread, message)) = rng.pick(&old) {
        data.change_message(thread, message, |message| message.reaction = if message.reaction == 1 { -1 } else { 1 });
    }
    if let Some(thread) = rng.pick(&threads) {
        data.add_user(thread, "I need a human, please", now_ms - 2 * MINUTE);
        data.add_system(thread, "CONVERSATION_ESCALATED", "Conversation escalated to a human", now_ms - MINUTE);
    }
    if let Some(thread) = rng.pick(&threads) {
        data.remove_thread(thread);
    }
}
