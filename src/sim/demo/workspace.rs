//! The demonstration's Zaia workspace: one assistant on a widget, WhatsApp and Instagram, and two humans behind it.

use super::people::Person;
use super::script::{BOT, DESK, MINUTE, Turn, play, start};
use crate::sim::rng::Rng;
use crate::sim::zaia::ZaiaData;

pub(super) fn make(rng: &mut Rng, people: &[Person], now_ms: i64) -> ZaiaData {
    let mut data = ZaiaData::new();
    let channels = [("widget", "Website"), ("whatsapp", "WhatsApp"), ("instagram", "Instagram")]
        .map(|(kind, name)| (kind, data.add_channel(kind, name)));
    let agent = data.add_agent("Iris");
    let squad = data.add_identity("squads", Some("After-sales"));
    let humans = [data.add_user("Noor Vale", "noor@example.test"), data.add_user("Emil Hart", "emil@example.test")];
    // From the 40th on: the first of them overlap with the directory's members.
    for person in people.iter().skip(40).take(150) {
        let (Some((kind, channel)), Some(human)) = (rng.pick(&channels), rng.pick(&humans)) else { break };
        let identifier = match *kind {
            "whatsapp" => Some(person.digits()),
            "instagram" => Some(person.email.replace("@example.test", "_ig")),
            _ => rng.chance(40).then(|| person.email.clone()),
        };
        let name = rng.chance(70).then(|| person.name());
        let owner = data.add_external_user(channel, identifier.as_deref(), name.as_deref());
        let at = start(rng, now_ms);
        let responder = if rng.chance(20) { &squad } else { &agent };
        let chat = data.add_chat(Some(channel), &owner, responder, at);
        let (title, turns) = play(rng, person.tongue, person.tongue.shop, at, now_ms, BOT);
        if rng.chance(60) {
            data.change_chat(&chat, |chat| chat.title = Some(title.to_owned()));
        }
        let end = tell(&mut data, &chat, &owner, ("assistant", responder), &turns);
        if rng.chance(18) {
            let (ask, reply) = person.tongue.hand_over;
            let asked = end + rng.between(20_000, 3 * MINUTE);
            let replied = asked + rng.between(DESK.0, DESK.1);
            data.add_message(&chat, "user", Some(&owner), asked, ask);
            data.add_message(&chat, "attendant", Some(human), replied, reply);
            data.change_chat(&chat, |chat| chat.current_responder = Some(human.clone()));
            let closing = rng.pick(person.tongue.closing).map(|(thanks, _)| *thanks).unwrap_or_default();
            data.add_message(&chat, "user", Some(&owner), replied + MINUTE, closing);
        }
    }
    data
}

fn tell(data: &mut ZaiaData, chat: &str, owner: &str, (role, answerer): (&str, &str), turns: &[Turn]) -> i64 {
    let mut last = 0;
    for turn in turns {
        data.add_message(chat, "user", Some(owner), turn.asked.1, &turn.asked.0);
        last = turn.asked.1;
        if let Some((text, at)) = &turn.answered {
            data.add_message(chat, role, Some(answerer), *at, text);
            last = *at;
        }
    }
    last
}

pub(super) fn evolve(data: &mut ZaiaData, rng: &mut Rng, now_ms: i64) {
    let chats: Vec<(String, String, String)> = data
        .chats
        .iter()
        .filter(|chat| !chat.removed)
        .map(|chat| (chat.id.clone(), chat.owner.clone(), chat.responder.clone()))
        .collect();
    for n in 0..5 {
        let Some((chat, owner, responder)) = rng.pick(&chats) else { return };
        let at = now_ms - (6 - n) * MINUTE;
        data.add_message(chat, "user", Some(owner), at, "One more question 🙋");
        data.add_message(chat, "assistant", Some(responder), at + 4_000, "Of course, go ahead!");
    }
    let channel = data.channels.first().map(|channel| channel.id.clone());
    if let (Some(channel), Some((_, _, responder))) = (channel, rng.pick(&chats)) {
        let owner = data.add_external_user(&channel, None, None);
        let chat = data.add_chat(Some(&channel), &owner, responder, now_ms - MINUTE);
        data.add_message(&chat, "user", Some(&owner), now_ms - MINUTE, "Hi, is anybody there?");
        data.add_message(&chat, "assistant", Some(responder), now_ms - MINUTE + 3_000, "Hello! How can I help?");
    }
    let ids: Vec<String> = data.messages.iter().map(|message| message.id.clone()).collect();
    if let Some(id) = rng.pick(&ids) {
        data.edit_message(id, now_ms - MINUTE, "(edited) Please ignore my last message.");
    }
    if let Some((chat, ..)) = rng.pick(&chats) {
        data.change_chat(chat, |chat| chat.title = Some("Renamed by an attendant".to_owned()));
    }
    if let Some((chat, ..)) = rng.pick(&chats) {
        data.remove_chat(chat, now_ms - MINUTE);
    }
}
