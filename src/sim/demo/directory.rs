//! The demonstration's Brilliant Directories site: visitors write to members.

use super::people::Person;
use super::script::{CASUAL, MINUTE, play, start};
use crate::sim::bd::BdData;
use crate::sim::bd::escape;
use crate::sim::rng::Rng;

pub(super) fn make(rng: &mut Rng, people: &[Person], now_ms: i64) -> BdData {
    let mut data = BdData::new();
    let members: Vec<(String, &Person)> =
        people.iter().take(90).map(|person| (add_member(&mut data, person), person)).collect();
    let mut threads = 0;
    while threads < 120 {
        let (Some((asker, person)), Some((answerer, _))) = (rng.pick(&members), rng.pick(&members)) else { break };
        if asker == answerer {
            continue;
        }
        threads += 1;
        let at = start(rng, now_ms);
        let thread = data.add_thread(asker, answerer, at);
        let (_, turns) = play(rng, person.tongue, person.tongue.directory, at, now_ms, CASUAL);
        let mut last = at;
        for turn in turns {
            let read = turn.answered.is_some();
            let id = say(rng, &mut data, &thread, asker, &turn.asked);
            data.change_message(id, |message| message.read = read);
            last = turn.asked.1;
            if let Some(answered) = &turn.answered {
                say(rng, &mut data, &thread, answerer, answered);
                last = answered.1;
            }
        }
        data.touch_thread(&thread, last);
        if rng.chance(25) {
            data.change_thread(&thread, |thread| thread.open = false);
        }
        if rng.chance(3) {
            data.soft_delete_thread(&thread, last + MINUTE);
        }
    }
    data
}

fn add_member(data: &mut BdData, person: &Person) -> String {
    let token = data.add_user(person.first, person.last);
    if let Some(user) = data.users.last_mut() {
        user.email.clone_from(&person.email);
        user.phone.clone_from(&person.phone);
    }
    token
}

/// Says a line in one of the ways that the site's editor stores it.
fn say(rng: &mut Rng, data: &mut BdData, thread: &str, owner: &str, (text, at): &(String, i64)) -> u64 {
    let safe = escape(text);
    let (text, html) = match rng.between(0, 11) {
        0 => (text.clone(), format!("<p><strong>{safe}</strong></p>")),
        1 => (text.clone(), safe.replace("é", "&eacute;").replace("ü", "&uuml;").replace('€', "&euro;")),
        2 => (format!("{text} 😊"), format!("<p>{safe} &#128522;</p>")),
        3 => (format!("{text}\n—"), format!("<p>{safe}<br>&mdash;</p>")),
        4 => (
            format!("{text} [image]"),
            format!("<p>{safe} <img src=\"https://cdn.example.test/{}.jpg\" width=\"320\"></p>", rng.between(1, 999)),
        ),
        _ => (text.clone(), format!("<p>{safe}</p>")),
    };
    data.add_html(thread, owner, *at, &text, &html)
}

pub(super) fn evolve(data: &mut BdData, rng: &mut Rng, now_ms: i64) {
    let open: Vec<(String, String, String)> = data
        .threads
        .iter()
        .filter(|thread| thread.deleted_ms.is_none())
        .map(|thread| (thread.token.clone(), thread.owner.clone(), thread.responders.clone()))
        .collect();
    for n in 0..4 {
        let Some((thread, owner, responder)) = rng.pick(&open) else { return };
        let at = now_ms - (5 - n) * MINUTE;
        data.add_message(thread, owner, at, "Hello again! Any news? 🙂");
        data.add_message(thread, responder, at + 30_000, "Yes: see you on Friday & thanks for your patience.");
        data.touch_thread(thread, at + 30_000);
    }
    if let Some((owner, responder)) = rng.pick(&open).map(|(_, owner, responder)| (owner.clone(), responder.clone())) {
        let thread = data.add_thread(&responder, &owner, now_ms - MINUTE);
        data.add_message(&thread, &responder, now_ms - MINUTE, "New here: do you have a minute?");
    }
    let ids: Vec<u64> = data.messages.iter().map(|message| message.id).collect();
    if let Some(id) = rng.pick(&ids) {
        data.edit_message(*id, "(edited) Sorry, I meant next week.");
    }
    if let Some((thread, ..)) = rng.pick(&open) {
        data.soft_delete_thread(thread, now_ms - MINUTE);
    }
}
