//! Files that a message names. Their representation is not documented, so this looks for what links usually look
//! like, and never rejects a message over it.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::model::Attachment;

const URLS: [&str; 8] = ["url", "fileUrl", "mediaUrl", "publicUrl", "downloadUrl", "link", "src", "href"];
const NAMES: [&str; 5] = ["name", "fileName", "filename", "originalName", "title"];
const KINDS: [&str; 6] = ["mimeType", "mimetype", "contentType", "type", "kind", "mediaType"];

/// The attachments of the fields that may hold some, each once.
pub(super) fn read<'a>(fields: impl IntoIterator<Item = Option<&'a RawValue>>) -> Vec<Attachment> {
    let mut found = Vec::new();
    for field in fields.into_iter().flatten() {
        let items = match serde_json::from_str(field.get()) {
            Ok(Value::Array(items)) => items,
            Ok(one @ Value::Object(_)) => vec![one],
            _ => continue,
        };
        for attachment in items.iter().filter_map(attachment) {
            if !found.contains(&attachment) {
                found.push(attachment);
            }
        }
    }
    found
}

fn attachment(item: &Value) -> Option<Attachment> {
    let fields = match item {
        Value::Object(fields) => fields,
        Value::String(url) if is_url(url) => {
            return Some(Attachment { kind: kind(None, url).to_owned(), url: Some(url.clone()), name: None });
        }
        _ => return None,
    };
    let url = first(fields, &URLS).filter(|url| is_url(url));
    let name = first(fields, &NAMES);
    if url.is_none() && name.is_none() {
        return None;
    }
    let kind = kind(first(fields, &KINDS), url.or(name).unwrap_or_default());
    Some(Attachment { kind: kind.to_owned(), url: url.map(str::to_owned), name: name.map(str::to_owned) })
}

fn first<'a>(fields: &'a Map<String, Value>, names: &[&str]) -> Option<&'a str> {
    names
        .iter()
        .find_map(|name| fields.get(*name).and_then(Value::as_str))
        .filter(|text| !text.is_empty() && !text.contains('\0'))
}

fn is_url(text: &str) -> bool {
    (text.starts_with("https://") || text.starts_with("http://")) && !text.chars().any(char::is_control)
}

/// By the type that is said (`image`, `audio/ogg`), else by the ending of the link's path.
fn kind(said: Option<&str>, place: &str) -> &'static str {
    const KNOWN: [&str; 3] = ["image", "audio", "video"];
    let said = said.unwrap_or_default().to_ascii_lowercase();
    if let Some(kind) = KNOWN.iter().find(|kind| said.starts_with(**kind)) {
        return kind;
    }
    if matches!(said.as_str(), "voice" | "ptt") {
        return "audio";
    }
    let path = place.split(['?', '#']).next().unwrap_or_default();
    match path.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).as_deref() {
        Some("png" | "jpg" | "jpeg" | "gif" | "webp") => "image",
        Some("mp3" | "ogg" | "oga" | "opus" | "wav" | "m4a") => "audio",
        Some("mp4" | "mov" | "webm") => "video",
        _ => "file",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_in_many_shapes_and_odd_ones_are_passed_over() {
        let raw = RawValue::from_string(
            r#"[{"url":"https://files.example.test/a.png"},{"fileUrl":"https://files.example.test/b","mimeType":"audio/ogg","name":"b"},
                "https://files.example.test/c.pdf",{"url":"javascript:alert(1)"},7,null,{"name":"d.mp4"},{"url":"https://files.example.test/a.png"}]"#
                .to_owned(),
        )
        .unwrap();
        let found = read([Some(&*raw), None]);
        let told: Vec<_> =
            found.iter().map(|file| (file.kind.as_str(), file.url.as_deref(), file.name.as_deref())).collect();
        assert_eq!(
            told,
            [
                ("image", Some("https://files.example.test/a.png"), None),
                ("audio", Some("https://files.example.test/b"), Some("b")),
                ("file", Some("https://files.example.test/c.pdf"), None),
                ("video", None, Some("d.mp4")),
            ]
        );
    }
}
