//! HTML fragments to plain text, in one pass and without a tree: messages are hostile, and a tree of a hundred
//! thousand nested tags overflows the stack when it is walked or dropped.

use std::borrow::Cow;
use std::cell::RefCell;

use html5ever::buffer_queue::BufferQueue;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};

use super::tags::{Role, bound_attributes, role};

/// Images kept of one message.
const MAX_IMAGES: usize = 100;
/// Bytes of the longest URL kept; longer ones are content (`data:`), not addresses.
const MAX_URL_BYTES: usize = 8 * 1024;
/// Characters kept of an image's alternative text.
const MAX_NAME_CHARS: usize = 300;

/// What a message in HTML says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HtmlText {
    /// Plain text; images stand as `[image]`.
    pub text: String,
    /// The images in their order, at most a hundred.
    pub images: Vec<HtmlImage>,
}

/// An image that a message shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HtmlImage {
    /// Where it lies: http, https or relative, as written. `None` for one that is part of the message (`data:`).
    pub url: Option<String>,
    /// Its alternative text.
    pub name: Option<String>,
}

/// Plain text of an HTML fragment; see [`read_html`].
#[must_use]
pub fn html_to_text(html: &str) -> String {
    read_html(html).text
}

/// The images of an HTML fragment; see [`read_html`].
#[must_use]
pub fn html_images(html: &str) -> Vec<HtmlImage> {
    read_html(html).images
}

/// Reads an HTML fragment as a browser would show it, less everything that is not text.
///
/// Entities are decoded; blocks and `<br>` break lines; white space collapses except in `<pre>` and `<textarea>`;
/// table cells are set apart by a tab; scripts, styles, titles, templates and comments are dropped; nothing is
/// wrapped, marked or normalised. Input without `<` and `&` is no HTML and comes back as it is. U+0000 never
/// comes back: SQLite's text functions stop at it.
#[must_use]
pub fn read_html(html: &str) -> HtmlText {
    let html: Cow<'_, str> = if html.contains('\0') { Cow::Owned(html.replace('\0', "")) } else { Cow::Borrowed(html) };
    if !html.contains(['<', '&']) {
        return HtmlText { text: html.into_owned(), images: Vec::new() };
    }
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(&bound_attributes(&html)));
    let options = TokenizerOpts { discard_bom: false, ..TokenizerOpts::default() };
    let tokenizer = Tokenizer::new(Sink(RefCell::new(Writer::default())), options);
    // It only pauses for scripts and encodings, and the sink asks for neither.
    let _done = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.0.into_inner().read
}

struct Sink(RefCell<Writer>);

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut writer = self.0.borrow_mut();
        match token {
            Token::TagToken(tag) => return writer.tag(&tag),
            Token::CharacterTokens(text) => writer.text(&text),
            Token::DoctypeToken(_)
            | Token::CommentToken(_)
            | Token::NullCharacterToken
            | Token::EOFToken
            | Token::ParseError(_) => {}
        }
        TokenSinkResult::Continue
    }
}

/// White space waiting for the word that makes it count.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Gap {
    #[default]
    None,
    Space,
    Cell,
}

/// The content of an element without tags, up to its end tag.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Raw {
    #[default]
    None,
    Hidden,
    Verbatim,
}

#[derive(Default)]
struct Writer {
    read: HtmlText,
    /// Line breaks waiting for the next word.
    breaks: usize,
    gap: Gap,
    /// Whether the current line has a word.
    line: bool,
    pre: usize,
    template: usize,
    raw: Raw,
    /// A line break right after `<pre>` is not shown.
    fresh_pre: bool,
}

impl Writer {
    fn tag(&mut self, tag: &Tag) -> TokenSinkResult<()> {
        self.fresh_pre = false;
        // While content is raw, the only tag that comes is the one that ends it.
        let was_raw = std::mem::take(&mut self.raw);
        let start = tag.kind == TagKind::StartTag;
        match role(&tag.name) {
            Role::Inline => {}
            Role::Block => self.block(),
            Role::Pre => {
                self.block();
                self.pre = if start { self.pre.saturating_add(1) } else { self.pre.saturating_sub(1) };
                self.fresh_pre = start;
            }
            // Browsers read `</br>` as `<br>`.
            Role::Break => self.line_break(),
            Role::Cell => {
                if start && self.line && self.template == 0 {
                    self.gap = Gap::Cell;
                }
            }
            Role::Image if start => self.image(tag),
            Role::Image => {}
            Role::Template => {
                self.template = if start { self.template.saturating_add(1) } else { self.template.saturating_sub(1) };
            }
            Role::Hidden(kind) if start => {
                self.raw = Raw::Hidden;
                return TokenSinkResult::RawData(kind);
            }
            Role::Hidden(_) => {}
            Role::Verbatim(kind) if start => {
                self.block();
                self.raw = Raw::Verbatim;
                self.fresh_pre = true;
                return TokenSinkResult::RawData(kind);
            }
            Role::Verbatim(_) if was_raw == Raw::Verbatim => self.block(),
            Role::Verbatim(_) => {}
            Role::Plaintext if start => {
                self.block();
                self.raw = Raw::Verbatim;
                return TokenSinkResult::Plaintext;
            }
            Role::Plaintext => {}
        }
        TokenSinkResult::Continue
    }

    fn text(&mut self, text: &str) {
        let fresh = std::mem::take(&mut self.fresh_pre);
        if self.raw == Raw::Hidden || self.template > 0 {
            return;
        }
        if self.pre > 0 || self.raw == Raw::Verbatim {
            let text = if fresh { text.strip_prefix('\n').unwrap_or(text) } else { text };
            for (index, line) in text.split(['\n', '\r']).enumerate() {
                if index > 0 {
                    self.line_break();
                }
                self.word(line);
            }
        } else {
            self.words(text);
        }
    }

    /// White space collapses. Words with single blanks between them are written together.
    fn words(&mut self, text: &str) {
        let white = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c);
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let blanks = bytes.iter().skip(at).take_while(|byte| white(byte)).count();
            if blanks > 0 && self.line && self.gap == Gap::None {
                self.gap = Gap::Space;
            }
            at += blanks;
            let mut end = at;
            while let Some(byte) = bytes.get(end) {
                let single = *byte == b' ' && bytes.get(end + 1).is_some_and(|next| !white(next));
                if white(byte) && !single {
                    break;
                }
                end += 1;
            }
            self.word(text.get(at..end).unwrap_or_default());
            at = end;
        }
    }

    fn word(&mut self, word: &str) {
        if word.is_empty() {
            return;
        }
        let text = &mut self.read.text;
        if !text.is_empty() {
            text.extend(std::iter::repeat_n('\n', self.breaks));
        }
        match self.gap {
            Gap::Space => text.push(' '),
            Gap::Cell => text.push('\t'),
            Gap::None => {}
        }
        text.push_str(word);
        self.breaks = 0;
        self.gap = Gap::None;
        self.line = true;
    }

    fn line_break(&mut self) {
        if self.template == 0 {
            self.breaks = self.breaks.saturating_add(1);
            self.gap = Gap::None;
            self.line = false;
        }
    }

    /// The edge of a block ends a line that has something on it.
    fn block(&mut self) {
        if self.line {
            self.line_break();
        }
    }

    fn image(&mut self, tag: &Tag) {
        if self.template > 0 {
            return;
        }
        self.word("[image]");
        if self.read.images.len() >= MAX_IMAGES {
            return;
        }
        let attribute = |name: &str| tag.attrs.iter().find(|a| &*a.name.local == name).map(|a| a.value.trim());
        let name = attribute("alt").filter(|alt| !alt.is_empty()).map(|alt| alt.chars().take(MAX_NAME_CHARS).collect());
        let url = attribute("src").filter(|src| is_address(src)).map(str::to_owned);
        self.read.images.push(HtmlImage { url, name });
    }
}

/// Whether a URL is http, https or relative, and could be written on a line.
fn is_address(url: &str) -> bool {
    if url.is_empty() || url.len() > MAX_URL_BYTES || url.chars().any(char::is_control) {
        return false;
    }
    match url.split_once(':') {
        Some((scheme, _)) if !scheme.contains(['/', '?', '#']) => {
            scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
        }
        _ => true,
    }
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
