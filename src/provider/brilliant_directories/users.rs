//! Members: looked up one by one, named from their record, and never kept with their secrets.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::BrilliantDirectories;
use super::fetch::USER;
use super::normalise::object;
use super::query::{self, Query};
use super::stream::id_text;
use super::wire::Envelope;
use crate::http::FetchError;
use crate::model::{ParticipantRow, Patch, RawRecord, Reject, Row};
use crate::normalise::{decode, is_secret_key, lenient, scrub};

/// Rows asked for in a look-up: enough to see that a filter was ignored, whatever floor the site has.
const ROWS: u32 = 25;

impl BrilliantDirectories {
    /// The record of the member whom a token, or a numeric id, stands for. `None` where the site does not name
    /// exactly one.
    pub(super) async fn look_up(&self, external_id: &str) -> Result<Option<RawRecord>, FetchError> {
        let value = external_id.trim();
        if value.is_empty() {
            return Ok(None);
        }
        let by_id = value.bytes().all(|b| b.is_ascii_digit());
        let answer = if by_id {
            let [model, get] = USER else { return Ok(None) };
            self.ask(&[model, get, value], &Query::new()).await
        } else {
            self.ask(USER, &query::equal("token", value, ROWS)).await
        };
        match answer {
            Ok(envelope) => Ok(accept(envelope, value, by_id).map(|row| record(external_id, &row))),
            Err(FetchError::NotFound { .. } | FetchError::Rejected { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What tells whether a row is the member that was asked for.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Identity {
    #[serde(deserialize_with = "lenient::text")]
    user_id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    token: Option<String>,
}

/// The one row of an answer that is certainly the member that was asked for.
///
/// A site that ignores the filter answers with everybody: a wrong name is worse than none. For `/get/{id}` the
/// total counts the whole table and says nothing.
pub(super) fn accept(envelope: Envelope, value: &str, by_id: bool) -> Option<Box<RawValue>> {
    if !by_id && envelope.total != Some(1) {
        return None;
    }
    let [row] = <[Box<RawValue>; 1]>::try_from(envelope.rows).ok()?;
    let identity: Identity = if row.get().starts_with('{') { decode(row.get()).ok()? } else { return None };
    let user_id = id_text(identity.user_id)?;
    let matches = if by_id {
        id_text(Some(value.to_owned())) == Some(user_id)
    } else {
        // Newer sites leave the token out; the database ignores case where we must not.
        identity.token.as_deref().map(str::trim).is_none_or(|token| token.is_empty() || token == value)
    };
    matches.then_some(row)
}

/// The raw record of a member, stored under the id that it was looked up by: two tokens may lead to one member.
pub(super) fn record(external_id: &str, row: &RawValue) -> RawRecord {
    let json = scrub(row, secret).unwrap_or_else(|| row.to_owned());
    RawRecord { id: Some(external_id.to_owned()), key: None, parent: Some(external_id.to_owned()), seq: 0, json }
}

/// Whether a field of a member record is never kept.
fn secret(name: &str) -> bool {
    is_secret_key(name) || name.to_ascii_lowercase().contains("hash")
}

/// A member record (the users page of the provider). Its rows are heavy; only what names a person is read.
#[derive(Deserialize, Default)]
#[serde(default)]
struct User {
    #[serde(deserialize_with = "lenient::text")]
    user_id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    first_name: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    last_name: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    company: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    full_name: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    email: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    phone_number: Option<String>,
}

/// Names the participant that a member was looked up for. What the record leaves empty stays as it is.
pub(super) fn normalise(raw: &RawRecord) -> Result<Vec<Row>, Reject> {
    let user: User = object(raw)?;
    let external_id =
        raw.parent.clone().ok_or_else(|| Reject::normalise("$", "not known whom it was looked up for"))?;
    let filled = |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let parts: Vec<String> = [user.first_name, user.last_name].into_iter().filter_map(filled).collect();
    let name = filled(Some(parts.join(" "))).or_else(|| filled(user.company)).or_else(|| filled(user.full_name));
    Ok(vec![Row::Participant(ParticipantRow {
        external_id,
        kind: Patch::Keep,
        name: Patch::keep_unless(name),
        email: Patch::keep_unless(filled(user.email)),
        phone: Patch::keep_unless(filled(user.phone_number)),
        provider_user_id: Patch::keep_unless(id_text(user.user_id)),
    })])
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::super::wire::{self, Envelope};
    use super::{accept, normalise, record};
    use crate::model::{ParticipantRow, Patch, Row};

    const USER: &str = include_str!("../../../tests/fixtures/brilliant_directories/user.json");
    const TOKEN: &str = "0986d338d31285f7578138137f8a7c87";

    fn answer(rows: &str, total: &str) -> Envelope {
        wire::read(format!(r#"{{"status":"success","message":{rows},"total":{total}}}"#).as_bytes()).unwrap()
    }

    fn named(json: &str) -> ParticipantRow {
        let raw = record("tok", &RawValue::from_string(json.to_owned()).unwrap());
        match normalise(&raw).unwrap().pop() {
            Some(Row::Participant(row)) => row,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_member_is_named_and_keeps_no_secret() {
        let row = accept(wire::read(USER.as_bytes()).unwrap(), TOKEN, false).unwrap();
        let raw = record(TOKEN, &row);
        let json = raw.json.get();
        for secret in ["0986d338", "$2y$", "d41d8", "cs_1", "t-1", "password", "token", "cookie", "session", "hash"] {
            assert!(!json.to_lowercase().contains(secret), "{secret} in {json}");
        }
        assert!(json.contains("Springfield") && json.contains("gold"), "the rest stays: {json}");
        assert_eq!((raw.id.as_deref(), raw.parent.as_deref()), (Some(TOKEN), Some(TOKEN)));
        let Some(Row::Participant(member)) = normalise(&raw).unwrap().pop() else { panic!("no participant") };
        assert_eq!(
            member,
            ParticipantRow {
                external_id: TOKEN.to_owned(),
                kind: Patch::Keep,
                name: Patch::Set("Dana Meadow".to_owned()),
                email: Patch::Set("dana@example.test".to_owned()),
                phone: Patch::Set("+1 555 0100".to_owned()),
                provider_user_id: Patch::Set("4711".to_owned()),
            }
        );
    }

    #[test]
    fn the_company_names_a_member_without_a_name_of_its_own() {
        let name = |json| named(json).name;
        assert_eq!(name(r#"{"first_name":" ","last_name":"Meadow"}"#), Patch::Set("Meadow".to_owned()));
        assert_eq!(name(r#"{"first_name":"","company":"Gardens","full_name":"x"}"#), Patch::Set("Gardens".to_owned()));
        assert_eq!(name(r#"{"first_name":null,"company":false,"full_name":"Jo"}"#), Patch::Set("Jo".to_owned()));
        assert_eq!(named("{}"), ParticipantRow { external_id: "tok".to_owned(), ..ParticipantRow::default() });
    }

    #[test]
    fn only_exactly_one_member_is_believed() {
        let one = r#"[{"user_id":"4711"}]"#;
        assert!(accept(answer(one, r#""1""#), "tok", false).is_some());
        assert!(accept(answer(one, "1"), "tok", false).is_some());
        assert!(accept(answer(one, "204"), "tok", false).is_none(), "the filter was ignored");
        assert!(accept(answer(one, "null"), "tok", false).is_none(), "nothing says that there is only one");
        assert!(accept(answer(r#"[{"user_id":"1"},{"user_id":"2"}]"#, "1"), "tok", false).is_none());
        assert!(accept(answer("[]", "0"), "tok", false).is_none());
        assert!(accept(answer("false", "1"), "tok", false).is_none());
        assert!(accept(answer(r#"["4711"]"#, "1"), "tok", false).is_none());
        assert!(accept(answer(r#"[{"first_name":"Jo"}]"#, "1"), "tok", false).is_none(), "not a member");
    }

    #[test]
    fn a_token_in_another_case_is_another_token() {
        let row = r#"[{"user_id":"1","token":"abc"}]"#;
        assert!(accept(answer(row, "1"), "abc", false).is_some());
        assert!(accept(answer(row, "1"), "ABC", false).is_none());
    }

    #[test]
    fn by_number_the_total_says_nothing_and_the_id_everything() {
        assert!(accept(answer(r#"[{"user_id":"4711"}]"#, r#""9""#), "4711", true).is_some());
        assert!(accept(answer(r#"{"user_id":4711}"#, "9"), "04711", true).is_some());
        assert!(accept(answer(r#"[{"user_id":"1"}]"#, "1"), "4711", true).is_none());
        assert!(accept(answer(r#"[{"user_id":"4711"},{"user_id":"4711"}]"#, "1"), "4711", true).is_none());
    }
}
