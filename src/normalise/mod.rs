//! Pure helpers that providers share: HTML to text, the timestamps of the world, lenient JSON fields,
//! secrets taken out of records, what an identifier is, and the form in which texts are searched.

mod contact;
mod identity;
pub mod lenient;
mod offsets;
mod scrub;
mod tags;
mod text;
mod time;
mod words;

pub use contact::{Identifier, classify_identifier, same_email, same_phone};
pub use identity::{email_key, phone_key, read_phone_tables, read_phone_tables_aside};
pub use lenient::decode;
pub use offsets::{Offset, offsets};
pub use scrub::{is_secret_key, scrub};
pub use text::{HtmlImage, HtmlText, html_images, html_to_text, read_html};
pub use time::{TimeFault, parse_timestamp, to_iso, to_site_digits};
pub use words::{FORM_RULES, WORD_BREAK, fold, has_words, own_index_form, search_form};
