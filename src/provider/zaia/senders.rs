//! Who wrote a message whose role does not say so: `joins=senders` on the list of messages.
//!
//! The join is documented, the name and shape of what it adds are not. So it is asked for once per unknown sender,
//! searched leniently, and given up for good (fact `senders` = `useless`) when it brought nothing three times.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::wire::{self, Peek};
use crate::model::{AuthorKind, ParticipantKind, RawRecord};
use crate::normalise::{is_secret_key, scrub};
use crate::provider::Facts;

/// The stream of sender records.
pub(super) const STREAM: &str = "senders";

const FACT: &str = "senders";
const USEFUL: &str = "useful";
const USELESS: &str = "useless";
const TRIES: u32 = 3;

/// The author that a message's role names by itself; roles but these two are not documented.
pub(super) fn author_of_role(role: Option<&str>) -> Option<AuthorKind> {
    let role = role?.trim();
    if role.eq_ignore_ascii_case("user") {
        Some(AuthorKind::Contact)
    } else if role.eq_ignore_ascii_case("assistant") {
        Some(AuthorKind::Bot)
    } else {
        None
    }
}

/// What a sender object says about its sender.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) kind: Option<ParticipantKind>,
    pub(super) name: Option<String>,
    pub(super) email: Option<String>,
}

impl Told {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// Reads a sender object: an entity word, a name and an e-mail address, in it or one object deeper.
pub(super) fn read(sender: &RawValue) -> Told {
    let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(sender.get()) else {
        return Told::default();
    };
    let mut told = Told::default();
    let mut take = |fields: &serde_json::Map<String, Value>| {
        let text = |name: &str| fields.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
        let word = ["entity", "type", "kind"].iter().find_map(|name| text(name).and_then(kind_of_entity));
        told.kind = told.kind.or(word);
        told.name = told.name.take().or_else(|| text("name").map(str::to_owned));
        told.email = told.email.take().or_else(|| text("email").map(str::trim).map(str::to_owned));
    };
    take(&fields);
    for inner in fields.values().filter_map(Value::as_object) {
        take(inner);
    }
    if told.kind.is_none() {
        // `{"user": {…}}`: the key is the word.
        told.kind = fields.iter().filter(|(_, value)| value.is_object()).find_map(|(name, _)| kind_of_entity(name));
    }
    told
}

/// The provider's words for those who have a super identity (`agents`, `squads`, `workflows` are documented).
fn kind_of_entity(word: &str) -> Option<ParticipantKind> {
    let word: String = word.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    match word.strip_suffix('s').unwrap_or(&word) {
        "user" => Some(AuthorKind::Agent),
        "agent" | "squad" | "workflow" => Some(AuthorKind::Bot),
        "externaluser" => Some(AuthorKind::Contact),
        _ => None,
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Joined<'a> {
    #[serde(borrow)]
    sender: Option<&'a RawValue>,
    #[serde(borrow)]
    senders: Option<&'a RawValue>,
}

/// The sender objects of an answer for the senders wanted, one each; objects that tell nothing are left out.
pub(super) fn records(rows: &[Box<RawValue>], wanted: &HashSet<String>) -> Vec<RawRecord> {
    let mut found = Vec::new();
    let mut done = HashSet::new();
    for row in rows {
        let Some(id) = Peek::of(row).sender_id.filter(|id| wanted.contains(id) && !done.contains(id)) else {
            continue;
        };
        let joined: Joined<'_> = serde_json::from_str(row.get()).unwrap_or_default();
        let object = [joined.sender, joined.senders].into_iter().flatten().find_map(|value| pick(value, &id));
        if let Some(json) = object.filter(|json| !read(json).is_nothing()) {
            let json = scrub(&json, is_secret_key).unwrap_or(json);
            found.push(wire::record(Some(id.clone()), None, json));
            done.insert(id);
        }
    }
    found
}

/// The object itself, or the one of a list that belongs to the sender.
fn pick(value: &RawValue, id: &str) -> Option<Box<RawValue>> {
    let Ok(mut list) = serde_json::from_str::<Vec<Box<RawValue>>>(value.get()) else {
        return Some(value.to_owned());
    };
    let own = list.iter().position(|item| {
        let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(item.get()) else { return false };
        ["superIdentityId", "id"].iter().any(|name| fields.get(*name).and_then(Value::as_str) == Some(id))
    });
    match own {
        Some(own) => Some(list.swap_remove(own)),
        None if list.len() == 1 => list.pop(),
        None => None,
    }
}

/// Which senders were asked for, and whether asking helps.
pub(super) struct SenderWatch {
    facts: Arc<Facts>,
    asked: Mutex<HashSet<String>>,
}

impl SenderWatch {
    pub(super) fn new(facts: Arc<Facts>) -> Self {
        Self { facts, asked: Mutex::new(HashSet::new()) }
    }

    /// The senders of these messages worth asking for: role undecided, not asked for by this process.
    /// They count as asked for from now on.
    pub(super) fn to_ask<'a>(&self, peeks: impl Iterator<Item = &'a Peek>) -> HashSet<String> {
        if self.facts.get(FACT).as_deref() == Some(USELESS) {
            return HashSet::new();
        }
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        peeks
            .filter(|peek| author_of_role(peek.role.as_deref()).is_none())
            .filter_map(|peek| peek.sender_id.clone())
            .filter(|id| asked.insert(id.clone()))
            .collect()
    }

    /// Remembers what asking came to.
    pub(super) fn outcome(&self, helped: bool) {
        let before = self.facts.get(FACT);
        if helped {
            self.facts.set(FACT, USEFUL);
        } else if before.as_deref() != Some(USEFUL) {
            let misses = before.and_then(|text| text.parse::<u32>().ok()).unwrap_or(0).saturating_add(1);
            self.facts.set(FACT, if misses >= TRIES { USELESS.to_owned() } else { misses.to_string() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    fn told(json: &str) -> (Option<AuthorKind>, Option<String>, Option<String>) {
        let told = read(&raw(json));
        (told.kind, told.name, told.email)
    }

    #[test]
    fn a_sender_is_read_whatever_its_shape() {
        let ana = (Some(AuthorKind::Agent), Some("Ana".to_owned()), Some("ana@example.test".to_owned()));
        assert_eq!(told(r#"{"entity":"users","name":"Ana","email":"ana@example.test"}"#), ana);
        assert_eq!(told(r#"{"id":"s1","user":{"name":"Ana","email":"ana@example.test"}}"#), ana);
        assert_eq!(told(r#"{"type":"squads"}"#).0, Some(AuthorKind::Bot));
        assert_eq!(told(r#"{"kind":"external_users"}"#).0, Some(AuthorKind::Contact));
        assert_eq!(told(r#"{"entity":"externalUsers"}"#).0, Some(AuthorKind::Contact));
        assert_eq!(told(r#"{"entity":"ghosts","name":" "}"#), (None, None, None));
        assert_eq!(told("[]"), (None, None, None));
    }

    #[test]
    fn senders_are_found_beside_their_messages() {
        let rows = [
            raw(r#"{"id":"m1","senderId":"s1","sender":{"entity":"users","name":"Ana"}}"#),
            raw(
                r#"{"id":"m2","senderId":"s2","senders":[{"id":"s9","name":"Zoe"},{"superIdentityId":"s2","name":"Bo"}]}"#,
            ),
            raw(r#"{"id":"m3","senderId":"s3","sender":null}"#),
            raw(r#"{"id":"m4","senderId":"s4","sender":{"name":"Unasked"}}"#),
        ];
        let wanted = ["s1", "s2", "s3"].map(str::to_owned).into();
        let found = records(&rows, &wanted);
        let ids: Vec<_> = found.iter().filter_map(|record| record.id.as_deref()).collect();
        assert_eq!(ids, ["s1", "s2"]);
        assert_eq!(read(&found[1].json).name.as_deref(), Some("Bo"));
    }

    #[test]
    fn only_roles_that_do_not_tell_are_asked_about_and_only_once() {
        let watch = SenderWatch::new(Arc::new(Facts::default()));
        let peek = |role: &str, sender: &str| Peek {
            role: Some(role.to_owned()),
            sender_id: Some(sender.to_owned()),
            ..Peek::default()
        };
        let peeks = [peek("User", "s1"), peek("ASSISTANT", "s2"), peek("human", "s3"), peek("human", "s3")];
        assert_eq!(watch.to_ask(peeks.iter()), HashSet::from(["s3".to_owned()]));
        assert!(watch.to_ask(peeks.iter()).is_empty());
    }

    #[test]
    fn three_vain_tries_end_the_asking_across_processes() {
        let facts = Arc::new(Facts::default());
        for _ in 0..3 {
            SenderWatch::new(Arc::clone(&facts)).outcome(false);
        }
        assert_eq!(facts.get("senders").as_deref(), Some("useless"));
        let other = Peek { sender_id: Some("s".to_owned()), ..Peek::default() };
        assert!(SenderWatch::new(facts).to_ask(std::iter::once(&other)).is_empty());

        let facts = Arc::new(Facts::default());
        let watch = SenderWatch::new(Arc::clone(&facts));
        watch.outcome(true);
        (0..5).for_each(|_| watch.outcome(false));
        assert_eq!(facts.get("senders").as_deref(), Some("useful"));
    }
}
