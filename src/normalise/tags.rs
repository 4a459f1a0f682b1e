//! What the elements of HTML mean for plain text, and a bound on what their tags may carry.

use std::borrow::Cow;

use html5ever::tokenizer::states::RawKind;

/// Attributes read of one tag. The tokenizer compares each with all before it.
const MAX_ATTRIBUTES: usize = 200;
/// Input up to this length cannot hold enough attributes to matter.
const SHORT_BYTES: usize = 16 * 1024;

/// How an element's tags act on the text around them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Stands within a line.
    Inline,
    /// Begins and ends on lines of its own.
    Block,
    /// A block that keeps its white space.
    Pre,
    /// Ends the line, every time.
    Break,
    /// A cell of a table's row.
    Cell,
    /// A picture.
    Image,
    /// Content that is kept for scripts and not shown, made of ordinary tags.
    Template,
    /// Content without tags, not shown.
    Hidden(RawKind),
    /// Content without tags, shown with its white space.
    Verbatim(RawKind),
    /// Everything that follows is text.
    Plaintext,
}

/// Looks an element up by its lower-case name. `noscript` is inline on purpose: no script runs here.
pub(super) fn role(name: &str) -> Role {
    match name {
        "br" => Role::Break,
        "td" | "th" => Role::Cell,
        "img" | "image" => Role::Image,
        "pre" | "listing" => Role::Pre,
        "template" => Role::Template,
        "script" => Role::Hidden(RawKind::ScriptData),
        "title" => Role::Hidden(RawKind::Rcdata),
        "style" | "iframe" | "noembed" | "noframes" => Role::Hidden(RawKind::Rawtext),
        "textarea" => Role::Verbatim(RawKind::Rcdata),
        "xmp" => Role::Verbatim(RawKind::Rawtext),
        "plaintext" => Role::Plaintext,
        "address" | "article" | "aside" | "blockquote" | "body" | "caption" | "center" | "dd" | "details"
        | "dialog" | "dir" | "div" | "dl" | "dt" | "fieldset" | "figcaption" | "figure" | "footer" | "form"
        | "frameset" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "header" | "hgroup" | "hr" | "html" | "legend"
        | "li" | "main" | "menu" | "nav" | "ol" | "optgroup" | "option" | "p" | "search" | "section" | "summary"
        | "table" | "tbody" | "tfoot" | "thead" | "tr" | "ul" => Role::Block,
        _ => Role::Inline,
    }
}

/// Cuts the attributes beyond [`MAX_ATTRIBUTES`] out of every tag. Only hostile input has any.
pub(super) fn bound_attributes(html: &str) -> Cow<'_, str> {
    if html.len() <= SHORT_BYTES {
        return Cow::Borrowed(html);
    }
    let bytes = html.as_bytes();
    let find = |from: usize, wanted: &dyn Fn(u8) -> bool| {
        bytes.get(from..).and_then(|rest| rest.iter().position(|b| wanted(*b))).map_or(bytes.len(), |at| from + at)
    };
    let space = |b: u8| matches!(b, b' ' | b'\t' | b'\n' | b'\r' | 0x0C);
    let mut kept = String::new();
    let mut copied = 0;
    let mut at = 0;
    loop {
        at = find(at, &|b| b == b'<') + 1;
        if at >= bytes.len() {
            break;
        }
        if !bytes.get(at).is_some_and(|b| b.is_ascii_alphabetic() || *b == b'/') {
            continue;
        }
        at = find(at, &|b| space(b) || b == b'>');
        let mut count = 0;
        let mut cut = None;
        loop {
            at = find(at, &|b| !space(b) && b != b'/');
            if at >= bytes.len() || bytes.get(at) == Some(&b'>') {
                break;
            }
            count += 1;
            if count > MAX_ATTRIBUTES {
                cut.get_or_insert(at);
            }
            // A name may begin with `=`; then the value, if there is one.
            at = find(at + 1, &|b| space(b) || matches!(b, b'/' | b'>' | b'='));
            let sign = find(at, &|b| !space(b));
            if bytes.get(sign) != Some(&b'=') {
                continue;
            }
            at = find(sign + 1, &|b| !space(b));
            at = match bytes.get(at) {
                Some(quote @ (b'"' | b'\'')) => find(at + 1, &|b| b == *quote) + 1,
                _ => find(at, &|b| space(b) || b == b'>'),
            };
        }
        if let Some(cut) = cut {
            kept.push_str(html.get(copied..cut).unwrap_or_default());
            copied = at.min(bytes.len());
        }
    }
    if copied == 0 {
        return Cow::Borrowed(html);
    }
    kept.push_str(html.get(copied..).unwrap_or_default());
    Cow::Owned(kept)
}
