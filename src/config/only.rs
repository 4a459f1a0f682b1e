//! Values that only one provider has.

use super::nearest::nearest;
use super::problem::{Complaint, shown};
use super::settings::{Pagination, SitegptApi};

/// A scheme's name gets the space that keeps it apart from the key: `Bearer` and `Bearer ` mean the same.
pub(super) fn auth_prefix(text: &str) -> Result<String, Complaint> {
    if !text.chars().all(|c| c == ' ' || c.is_ascii_graphic()) || text.starts_with(' ') {
        return Err(
            Complaint::new("must be printable ASCII, without a space at its start").suggest("for example \"Bearer\"")
        );
    }
    let word = text.trim_end();
    Ok(match word.chars().last() {
        Some(last) if last.is_ascii_alphanumeric() => format!("{word} "),
        _ => text.to_owned(),
    })
}

/// One of a few words, with the nearest one suggested.
fn word<T: Copy>(text: &str, known: &[(&'static str, T)]) -> Result<T, Complaint> {
    if let Some((_, value)) = known.iter().find(|(name, _)| *name == text) {
        return Ok(*value);
    }
    let all = known.iter().map(|(name, _)| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    let complaint = Complaint::new(format!("{} must be one of {all}", shown(text)));
    Err(match nearest(text, known.iter().map(|(name, _)| *name)) {
        Some((near, true)) => complaint.suggest(format!("did you mean {near:?}?")),
        _ => complaint,
    })
}

pub(super) fn pagination(text: &str) -> Result<Pagination, Complaint> {
    word(
        text,
        &[
            ("auto", Pagination::Auto),
            ("brackets", Pagination::Brackets),
            ("json", Pagination::Json),
            ("plain", Pagination::Plain),
        ],
    )
}

pub(super) fn sitegpt_api(text: &str) -> Result<SitegptApi, Complaint> {
    word(text, &[("v0", SitegptApi::V0), ("v2", SitegptApi::V2)])
}

pub(super) fn chatbots(ids: &[String]) -> Result<Vec<String>, Complaint> {
    if ids.is_empty() {
        return Err(
            Complaint::new("the list is empty").suggest("leave `chatbots` out for every chatbot the key can see")
        );
    }
    for (at, id) in ids.iter().enumerate() {
        if id.is_empty() || id.chars().any(|c| c.is_whitespace() || c.is_control() || c == '/') {
            return Err(Complaint::new(format!("{} is not the id of a chatbot", shown(id))));
        }
        if ids.iter().take(at).any(|earlier| earlier == id) {
            return Err(Complaint::new(format!("{} is there twice", shown(id))));
        }
    }
    Ok(ids.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_is_kept_apart_from_the_key() {
        for (written, sent) in [("", ""), ("Bearer", "Bearer "), ("Bearer  ", "Bearer "), ("Token key=", "Token key=")]
        {
            assert_eq!(auth_prefix(written).as_deref(), Ok(sent), "{written:?}");
        }
        for written in [" Bearer", "Bea\nrer", "Bea\u{e9}rer", "\t"] {
            assert!(auth_prefix(written).is_err(), "{written:?}");
        }
    }
}
