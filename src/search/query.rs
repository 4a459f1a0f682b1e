//! What somebody typed, taken apart. There are no wrong queries: what is no operator is a word.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::normalise::{has_words, search_form};

/// Characters of a query that are looked at, and words of it: nobody types more, and each costs a look-up.
const CHARACTERS: usize = 2_000;
const WORDS: usize = 64;

/// A word or a phrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    pub text: String,
    /// The last word may go on.
    pub prefix: bool,
}

/// A query taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// All of these have to stand in a message.
    pub terms: Vec<Term>,
    pub from: Vec<String>,
    pub source: Vec<String>,
    pub channel: Vec<String>,
    /// Sent then or later, in milliseconds since 1970 UTC.
    pub after_ms: Option<i64>,
    /// Sent earlier.
    pub before_ms: Option<i64>,
    /// Voted down.
    pub negative: bool,
    /// What was meant otherwise than it was taken, for whoever typed it.
    pub notes: Vec<String>,
}

/// A piece of a query: what stands before the colon, if anything does, and what was typed behind it.
struct Piece {
    operator: Option<String>,
    text: String,
    prefix: bool,
}

impl Query {
    /// Takes a query apart. Any text is one.
    #[must_use]
    pub fn parse(typed: &str) -> Self {
        let mut query = Self::default();
        let mut chars = typed.chars();
        let shown: String = chars.by_ref().take(CHARACTERS).collect();
        if chars.next().is_some() {
            query.notes.push(format!("only the first {CHARACTERS} characters are looked for"));
        }
        for piece in pieces(&shown) {
            query.add(piece);
        }
        if query.terms.len() > WORDS {
            query.terms.truncate(WORDS);
            query.notes.push(format!("only the first {WORDS} words are looked for"));
        }
        query
    }

    /// Nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { terms, from, source, channel, after_ms, before_ms, negative, notes: _ } = self;
        terms.is_empty()
            && from.is_empty()
            && source.is_empty()
            && channel.is_empty()
            && after_ms.is_none()
            && before_ms.is_none()
            && !negative
    }

    fn add(&mut self, piece: Piece) {
        let Piece { operator, text, prefix } = piece;
        match operator.as_deref() {
            Some("from") => self.from.push(text),
            Some("source") => self.source.push(text),
            Some("channel") => self.channel.push(text),
            Some(operator @ ("after" | "before")) => match midnight(&text) {
                Some(at_ms) if operator == "after" => {
                    self.after_ms = Some(self.after_ms.map_or(at_ms, |other| other.max(at_ms)));
                }
                Some(at_ms) => self.before_ms = Some(self.before_ms.map_or(at_ms, |other| other.min(at_ms))),
                None => self.misread(operator, &text, "takes a day such as 2026-03-01"),
            },
            Some(operator) if text.eq_ignore_ascii_case("negative") => {
                debug_assert_eq!(operator, "has");
                self.negative = true;
            }
            Some(operator) => self.misread(operator, &text, "knows `negative` alone"),
            None => self.word(&text, prefix),
        }
    }

    fn word(&mut self, text: &str, prefix: bool) {
        // NUL ends a text for SQLite's parser.
        let text = text.replace('\0', " ");
        if has_words(&text) {
            self.terms.push(Term { text, prefix });
        }
    }

    fn misread(&mut self, operator: &str, value: &str, takes: &str) {
        self.notes.push(format!("`{operator}:` {takes}; `{operator}:{value}` is looked for as words"));
        self.word(&format!("{operator} {value}"), false);
    }

    /// The query in the index's own language; `None` where no word is asked for. Every word is quoted, so none of them
    /// means anything there.
    #[must_use]
    pub fn expression(&self) -> Option<String> {
        let quoted = |term: &Term| {
            let form = search_form(&term.text).replace('"', "\"\"");
            format!("\"{form}\"{}", if term.prefix { "*" } else { "" })
        };
        let terms: Vec<String> = self.terms.iter().map(quoted).collect();
        (!terms.is_empty()).then(|| terms.join(" "))
    }
}

/// Operators, by the words before their colon.
fn operator(word: &str) -> Option<String> {
    let word = word.to_ascii_lowercase();
    ["from", "source", "channel", "after", "before", "has"].contains(&word.as_str()).then_some(word)
}

/// Splits at blanks, but not within quotes. A quote that nobody closes is a blank.
fn pieces(typed: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = typed.trim_start();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        let (named, value) = match word.split_once(':') {
            Some((name, value)) => (operator(name), value),
            None => (None, word),
        };
        // `from:"Ada Quill"`: the value is what stands in the quotes.
        let opens = behind.strip_prefix('"').filter(|_| word.is_empty() || (named.is_some() && value.is_empty()));
        if let Some((quoted, after)) = opens.and_then(|inside| inside.split_once('"')) {
            let (prefix, after) = after.strip_prefix('*').map_or((false, after), |after| (true, after));
            if quoted.trim().is_empty() {
                rest = after.trim_start();
                continue;
            }
            pieces.push(Piece { operator: named, text: quoted.to_owned(), prefix });
            rest = after.trim_start();
            continue;
        }
        let named = named.filter(|_| !value.trim_matches('*').is_empty());
        let text = if named.is_some() { value } else { word };
        let prefix = text.ends_with('*');
        pieces.push(Piece { operator: named, text: text.trim_end_matches('*').to_owned(), prefix });
        // A quote inside a word, or one that is never closed, parts words.
        let alone = behind.strip_prefix('"').filter(|inside| word.is_empty() || !inside.contains('"'));
        rest = alone.unwrap_or(behind).trim_start();
    }
    pieces
}

/// The beginning of a UTC day, in milliseconds.
fn midnight(day: &str) -> Option<i64> {
    if day.len() != "2026-03-01".len() {
        return None;
    }
    let date: Date = day.parse().ok()?;
    Some(TimeZone::UTC.to_timestamp(date.to_datetime(jiff::civil::Time::midnight())).ok()?.as_millisecond())
}

#[cfg(test)]
#[path = "query_tests.rs"]
mod query_tests;
