//! Pure helpers that providers share: HTML to text, the timestamps of the world, lenient JSON fields.

/// Plain text of an HTML fragment.
#[must_use]
pub fn html_to_text(html: &str) -> String {
    html.to_owned()
}
