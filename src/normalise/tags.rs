//! What the elements of HTML mean for plain text.

use html5ever::tokenizer::states::RawKind;

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
