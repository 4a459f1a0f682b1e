//! How a raw record is stored: compressed, and without the HTML that its message keeps besides.
//!
//! Most of a record of Brilliant Directories is the message's HTML, which stands in `messages.body_html`, word for word. It
//! is cut out, together with its quotes, and put back in when the record is read. That must give back every byte: so it is
//! looked for as each of the ways in which providers write JSON would write it, and a record in which none of them stands
//! is kept whole. Plain text is never cut out: then it would stand in one place alone, and if that was damaged, nothing
//! could tell what it said.
//!
//! A body in the codec `zstd` is a frame, or a cut record: a head of [`HEAD`] bytes (1; how the HTML was written; where it
//! stood, in four bytes, least first) and a frame, or what is too short for one. Frames may need the dictionary below, as
//! their own heads say. A body in the codec `json` is the record itself.

use std::cell::RefCell;
use std::io::{self, BufRead, Read as _};
use std::sync::LazyLock;

use memchr::memmem;
use serde_json::value::RawValue;
use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};
use zstd::stream::read::Decoder;
use zstd::zstd_safe;

/// Records are short, and what they have in common is in the dictionary: higher levels gain little.
const LEVEL: i32 = 1;

/// What records of the three providers have in common, from made-up conversations (`packaging/raw-dictionary.py`). Stored
/// records can only be read with it: another one has another id and stands beside it.
static DICTIONARY: &[u8] = include_bytes!("raw_records.dict");

static UNPACKING: LazyLock<DecoderDictionary<'static>> = LazyLock::new(|| DecoderDictionary::copy(DICTIONARY));

thread_local! {
    /// Made once: setting one up costs more than packing a text of this size.
    static PACKER: RefCell<Option<Compressor<'static>>> = RefCell::new(packer());

    /// The same goes for unpacking.
    static UNPACKER: RefCell<Option<Decompressor<'static>>> =
        RefCell::new(Decompressor::with_prepared_dictionary(&UNPACKING).ok());
}

fn packer() -> Option<Compressor<'static>> {
    static PACKING: LazyLock<EncoderDictionary<'static>> = LazyLock::new(|| EncoderDictionary::copy(DICTIONARY, LEVEL));
    Compressor::with_prepared_dictionary(&PACKING).ok()
}

/// Below this, compression gains nothing.
const SMALLEST_COMPRESSED: usize = 64;

/// HTML shorter than this stays where it is.
const SMALLEST_CUT: usize = 48;

/// So much of the HTML is looked for; no more than [`SMALLEST_CUT`] and its quotes.
const BEGINNING: usize = 32;

/// Bytes before a cut record's frame.
const HEAD: usize = 6;

/// The first byte of a cut record; no frame begins with it.
const CUT: u8 = 1;

/// What a frame says that it comes to is believed up to this: a damaged one may say anything.
const UNPACKED_AT_ONCE: u64 = 1024 * 1024;

/// Cap on a stored body, unpacked: answers are capped at a fraction of it.
const LARGEST_BODY: u64 = 256 * 1024 * 1024;

/// A raw record as it is stored.
#[derive(Debug, Clone)]
pub(super) struct Packed {
    pub(super) codec: &'static str,
    pub(super) body: Vec<u8>,
}

impl Packed {
    /// A record whose raw form was dropped; the row stays, for what is known by it.
    pub(super) const DROPPED: Self = Self { codec: "json", body: Vec::new() };

    /// The same where it speaks of somebody who was forgotten: the hash is a keyed one then.
    pub(super) const FORGOTTEN: Self = Self { codec: "zstd", body: Vec::new() };

    fn is_cut(&self) -> bool {
        is_cut(self.codec, &self.body)
    }

    /// Whether it can be stored beside a message that `says` what its record does, or does not.
    pub(super) fn fits(&self, says: bool) -> bool {
        says || !self.is_cut()
    }
}

/// Whether a stored body can only be read together with its message.
pub(super) fn is_cut(codec: &str, body: &[u8]) -> bool {
    codec == "zstd" && body.first() == Some(&CUT)
}

/// How a provider writes a text as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Nothing is written otherwise that need not be.
    Plain,
    /// Slashes are, too.
    Slashes,
    /// Slashes and all that is not ASCII: PHP's own way.
    Php,
}

const STYLES: [Style; 3] = [Style::Plain, Style::Slashes, Style::Php];

impl Style {
    /// The text as this style writes it, with its quotes.
    fn write(self, text: &str) -> Option<String> {
        let plain = serde_json::to_string(text).ok()?;
        if self == Self::Plain {
            return Some(plain);
        }
        let mut written = String::with_capacity(plain.len() * 2);
        let mut units = [0; 2];
        for c in plain.chars() {
            match c {
                '/' => written.push_str("\\/"),
                c if self == Self::Php && !c.is_ascii() => {
                    for unit in c.encode_utf16(&mut units) {
                        written.push_str("\\u");
                        for shift in [12, 8, 4, 0] {
                            let digit = u32::from(*unit >> shift) & 0xF;
                            written.push(char::from_digit(digit, 16).unwrap_or('0'));
                        }
                    }
                }
                c => written.push(c),
            }
        }
        Some(written)
    }
}

/// Packs a record whole.
pub(super) fn whole(json: &str) -> Packed {
    match frame(json.as_bytes()) {
        Some(body) if body.len() < json.len() => Packed { codec: "zstd", body },
        _ => Packed { codec: "json", body: json.as_bytes().to_vec() },
    }
}

/// Packs the record of a message, without its HTML where that can be put back. Whoever stores it sees to it that the
/// message has that HTML.
pub(super) fn without_html(json: &str, html: &str) -> Packed {
    cut(json, html).unwrap_or_else(|| whole(json))
}

fn cut(json: &str, html: &str) -> Option<Packed> {
    if html.len() < SMALLEST_CUT {
        return None;
    }
    let (style, at, length) = STYLES.iter().zip(0_u8..).find_map(|(style, number)| {
        let written = style.write(html)?;
        Some((number, place_of(written.as_bytes(), json.as_bytes())?, written.len()))
    })?;
    let place = u32::try_from(at).ok()?.to_le_bytes();
    let rest = [json.as_bytes().get(..at)?, json.as_bytes().get(at + length..)?].concat();
    let mut body = vec![CUT, style];
    body.extend_from_slice(&place);
    body.extend_from_slice(&frame(&rest).unwrap_or(rest));
    Some(Packed { codec: "zstd", body })
}

/// Where something long stands in a text: looked for by its beginning, which is quicker to look for.
fn place_of(long: &[u8], text: &[u8]) -> Option<usize> {
    let beginning = long.get(..BEGINNING)?;
    memmem::find_iter(text, beginning).find(|at| text.get(*at..).is_some_and(|from| from.starts_with(long)))
}

/// Compressed, where that gains something.
fn frame(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.len() < SMALLEST_COMPRESSED {
        return None;
    }
    let packed = PACKER.with_borrow_mut(|packer| packer.as_mut()?.compress(bytes).ok())?;
    (packed.len() < bytes.len()).then_some(packed)
}

/// The JSON text of a stored body. `None` where it cannot be read back. `html` gives that of the message which the record
/// made.
pub(super) fn unpack(codec: &str, body: Vec<u8>, html: impl FnOnce() -> Option<String>) -> Option<Box<RawValue>> {
    let bytes = match body.split_at_checked(HEAD) {
        Some((head, rest)) if is_cut(codec, &body) => {
            let [_, style, place @ ..] = head else { return None };
            let style = STYLES.get(usize::from(*style))?;
            let at = usize::try_from(u32::from_le_bytes(place.try_into().ok()?)).ok()?;
            let rest = if is_frame(rest) { unframe(rest)? } else { rest.to_vec() };
            let (before, after) = rest.split_at_checked(at)?;
            [before, style.write(&html()?)?.as_bytes(), after].concat()
        }
        _ if codec == "zstd" => unframe(&body)?,
        _ => body,
    };
    RawValue::from_string(String::from_utf8(bytes).ok()?).ok()
}

fn is_frame(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x28, 0xB5, 0x2F, 0xFD])
}

fn unframe(frame: &[u8]) -> Option<Vec<u8>> {
    let Some(_) = zstd_safe::get_dict_id_from_frame(frame) else { return drain(Decoder::new(frame)) };
    let size = zstd_safe::get_frame_content_size(frame).ok().flatten().filter(|size| *size <= UNPACKED_AT_ONCE);
    match size.and_then(|size| usize::try_from(size).ok()) {
        Some(size) => UNPACKER.with_borrow_mut(|unpacker| unpacker.as_mut()?.decompress(frame, size).ok()),
        None => drain(Decoder::with_prepared_dictionary(frame, &UNPACKING)),
    }
}

fn drain<R: BufRead>(decoder: io::Result<Decoder<'_, R>>) -> Option<Vec<u8>> {
    let mut unpacked = Vec::new();
    decoder.and_then(|decoder| decoder.take(LARGEST_BODY).read_to_end(&mut unpacked)).ok().map(|_| unpacked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(packed: &Packed, html: &str) -> Option<String> {
        unpack(packed.codec, packed.body.clone(), || Some(html.to_owned())).map(|json| json.get().to_owned())
    }

    #[test]
    fn what_is_kept_can_be_read_back() {
        for text in ["{}".to_owned(), format!("{{\"a\":\"{}\"}}", "é".repeat(500))] {
            let packed = whole(&text);
            assert_eq!(unpack(packed.codec, packed.body, || None).unwrap().get(), text);
        }
        assert!(unpack("zstd", b"{}".to_vec(), || None).is_none());
        assert!(unpack("json", b"{\xff".to_vec(), || None).is_none());
    }

    #[test]
    fn a_large_record_and_a_small_one_after_it_are_read_back() {
        for words in [2_000_000, 3] {
            let text = format!("{{\"a\":\"{}\"}}", "word ".repeat(words));
            let packed = whole(&text);
            assert_eq!(unpack(packed.codec, packed.body, || None).map_or(0, |json| json.get().len()), text.len());
        }
    }

    /// As earlier programs wrote them.
    #[test]
    fn a_frame_without_the_dictionary_is_read_as_well() {
        let json = format!("{{\"a\":\"{}\"}}", "word ".repeat(100));
        let body = zstd::bulk::compress(json.as_bytes(), 3).unwrap();
        assert_eq!(unpack("zstd", body, || None).unwrap().get(), json);
    }

    #[test]
    fn html_is_cut_out_however_it_is_written() {
        let html = "<p>Olá \"you\"\\ </p>\u{1F600} a/b\n\tand more of it, so that it pays";
        for style in STYLES {
            let json = format!("{{\"id\":\"7\",\"content\":{},\"after\":[1,2]}}", style.write(html).unwrap());
            let packed = without_html(&json, html);
            assert!(packed.is_cut() && packed.body.len() < 60, "{style:?}: {}", packed.body.len());
            assert_eq!(read(&packed, html).unwrap(), json);
            let value: serde_json::Value = serde_json::from_str(&json).unwrap();
            assert_eq!(value["content"], html, "{style:?}");
        }
        // Capital digits are nobody's usual way, so it stays whole.
        let json = format!("{{\"content\":\"\\u00E9{}\"}}", "x".repeat(100));
        let packed = without_html(&json, &format!("é{}", "x".repeat(100)));
        assert!(!packed.is_cut());
    }

    proptest! {
        #[test]
        fn every_byte_comes_back(
            html in "[ -~é東/\\\\\"\u{1F600}\n]{0,120}",
            shown in any::<String>(),
            style in 0..3_usize,
            before in "[a-z]{0,80}",
        ) {
            for said in [&html, &shown] {
                let json = format!("{{\"{before}\":{},\"n\":1}}", STYLES[style].write(said).unwrap());
                prop_assert_eq!(read(&without_html(&json, &html), &html), Some(json.clone()));
                prop_assert_eq!(read(&whole(&json), &html), Some(json));
            }
        }

        #[test]
        fn damage_is_no_panic(mut body in prop::collection::vec(any::<u8>(), 0..80), cut in any::<bool>()) {
            if let (true, Some(first)) = (cut, body.first_mut()) {
                *first = CUT;
            }
            unpack("zstd", body, || Some("text".to_owned()));
        }
    }
}
