//! The three tables as the API shows them: columns, their values as text, and whole rows as JSON.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::TokenLookup;
use super::data::{BdData, BdMessage, BdThread, BdUser, Overrides};

/// How a site writes times.
pub(super) struct Clock {
    zone: TimeZone,
    iso: bool,
}

impl Clock {
    pub(super) fn of(data: &BdData) -> Self {
        Self { zone: TimeZone::get(&data.timezone).unwrap_or(TimeZone::UTC), iso: data.quirks.iso_times }
    }

    /// `YYYYMMDDHHmmss` of the site's wall clock.
    pub(super) fn write(&self, ms: i64) -> String {
        let Ok(at) = Timestamp::from_millisecond(ms) else { return "00000000000000".to_owned() };
        if self.iso {
            return at.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string();
        }
        at.to_zoned_datetime(self.zone.clone()).strftime("%Y%m%d%H%M%S").to_string()
    }
}

/// How MySQL compares a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Integer,
    Text,
    /// No such column in the table, whatever rows show.
    Unknown,
}

/// A row of one of the tables.
pub(super) trait Record {
    fn id(&self) -> u64;
    fn written(&self) -> u64;
    fn overrides(&self) -> &Overrides;
    /// A stored column's value as text.
    fn stored(&self, column: &str, clock: &Clock) -> Option<String>;

    /// A column's value as the database has it; `None` for NULL.
    fn cell(&self, column: &str, clock: &Clock) -> Option<String> {
        match self.overrides().iter().find(|(name, _)| *name == column) {
            Some((_, Value::Null)) => None,
            Some((_, Value::String(text))) => Some(text.clone()),
            Some((_, other)) => Some(other.to_string()),
            None => self.stored(column, clock),
        }
    }
}

/// A table: its rows and what the API knows about it.
pub(super) struct Table<'a> {
    pub(super) model: &'static str,
    pub(super) key: &'static str,
    pub(super) columns: &'static [&'static str],
    pub(super) rows: Vec<&'a dyn Record>,
    token_lookup: TokenLookup,
    numbers: bool,
    leak_secrets: bool,
}

const THREADS: &[&str] = &[
    "thread_id",
    "thread_status",
    "thread_token",
    "thread_owner",
    "created_at",
    "updated_at",
    "thread_responders",
    "deleted_at",
    "origin_ip",
    "request_uri",
];
const ITEMS: &[&str] = &[
    "message_id",
    "message_token",
    "thread_token",
    "message_status",
    "message_owner",
    "message_content",
    "created_at",
];
const USERS: &[&str] = &[
    "user_id",
    "first_name",
    "last_name",
    "email",
    "company",
    "phone_number",
    "active",
    "subscription_id",
    "city",
    "state_code",
    "country_code",
    "website",
    "about_me",
    "position",
    "filename",
    "signup_date",
    "userid",
];
const INTEGERS: &[&str] =
    &["message_id", "message_status", "thread_id", "thread_status", "user_id", "active", "subscription_id"];

impl<'a> Table<'a> {
    /// The table of a model's name in the URL.
    pub(super) fn find(data: &'a BdData, model: &str) -> Option<Self> {
        let (model, key, columns, rows): (_, _, _, Vec<&dyn Record>) = match model {
            "chat_message_threads" => ("chat_message_threads", "thread_id", THREADS, all(&data.threads)),
            "chat_message_items" => ("chat_message_items", "message_id", ITEMS, all(&data.messages)),
            "user" => ("user", "user_id", USERS, all(&data.users)),
            _ => return None,
        };
        let quirks = &data.quirks;
        let (token_lookup, numbers, leak_secrets) = (quirks.token_lookup, quirks.numbers, quirks.leak_secrets);
        Some(Self { model, key, columns, rows, token_lookup, numbers, leak_secrets })
    }

    /// What a filter or a sort finds under a name.
    pub(super) fn column(&self, name: &str) -> Column {
        let hidden = self.model == "user" && name == "token" && self.token_lookup == TokenLookup::Works;
        match name {
            _ if INTEGERS.contains(&name) && self.columns.contains(&name) => Column::Integer,
            _ if self.columns.contains(&name) || hidden => Column::Text,
            _ => Column::Unknown,
        }
    }

    /// A row as it is served.
    pub(super) fn json(&self, row: &dyn Record, clock: &Clock) -> Value {
        let mut out = Map::new();
        for column in self.columns {
            let text = row.stored(column, clock).unwrap_or_default();
            let value = match text.parse::<i64>() {
                Ok(number) if self.numbers && *column == self.key => json!(number),
                _ => json!(text),
            };
            out.insert((*column).to_owned(), value);
        }
        if self.model == "user" {
            let cell = |column| row.cell(column, clock).unwrap_or_default();
            out.insert("full_name".into(), json!(format!("{} {}", cell("first_name"), cell("last_name")).trim()));
            out.insert("status".into(), json!("Active"));
            out.insert("image_main_file".into(), json!("/images/profile-profile-holder.png"));
            out.insert("tags".into(), json!(false));
            if self.leak_secrets {
                out.insert("token".into(), json!(cell("token")));
                out.insert("password".into(), json!(format!("$2y$10$hash-of-{}", cell("user_id"))));
                out.insert("cookie".into(), json!(format!("cookie-of-{}", cell("user_id"))));
            }
        }
        for (column, value) in row.overrides() {
            out.insert((*column).to_owned(), value.clone());
        }
        Value::Object(out)
    }
}

fn all<R: Record>(rows: &[R]) -> Vec<&dyn Record> {
    rows.iter().map(|row| row as &dyn Record).collect()
}

fn flag(set: bool) -> String {
    if set { "1" } else { "0" }.to_owned()
}

impl Record for BdThread {
    fn id(&self) -> u64 {
        self.id
    }

    fn written(&self) -> u64 {
        self.written
    }

    fn overrides(&self) -> &Overrides {
        &self.overrides
    }

    fn stored(&self, column: &str, clock: &Clock) -> Option<String> {
        Some(match column {
            "thread_id" => self.id.to_string(),
            "thread_status" => flag(self.open),
            "thread_token" => self.token.clone(),
            "thread_owner" => self.owner.clone(),
            "created_at" => clock.write(self.created_ms),
            "updated_at" => clock.write(self.updated_ms),
            "thread_responders" => self.responders.clone(),
            "deleted_at" => self.deleted_ms.map_or_else(String::new, |ms| clock.write(ms)),
            "origin_ip" => self.origin_ip.clone(),
            "request_uri" => self.request_uri.clone(),
            _ => return None,
        })
    }
}

impl Record for BdMessage {
    fn id(&self) -> u64 {
        self.id
    }

    fn written(&self) -> u64 {
        self.written
    }

    fn overrides(&self) -> &Overrides {
        &self.overrides
    }

    fn stored(&self, column: &str, clock: &Clock) -> Option<String> {
        Some(match column {
            "message_id" => self.id.to_string(),
            "message_token" => self.token.clone(),
            "thread_token" => self.thread_token.clone(),
            "message_status" => flag(self.read),
            "message_owner" => self.owner.clone(),
            "message_content" => self.html.clone(),
            "created_at" => clock.write(self.created_ms),
            _ => return None,
        })
    }
}

impl Record for BdUser {
    fn id(&self) -> u64 {
        self.id
    }

    fn written(&self) -> u64 {
        self.written
    }

    fn overrides(&self) -> &Overrides {
        &self.overrides
    }

    fn stored(&self, column: &str, _: &Clock) -> Option<String> {
        Some(match column {
            "user_id" => self.id.to_string(),
            "token" => self.token.clone(),
            "first_name" => self.first_name.clone(),
            "last_name" => self.last_name.clone(),
            "email" => self.email.clone(),
            "company" => self.company.clone(),
            "phone_number" => self.phone.clone(),
            "active" => self.active.to_string(),
            "subscription_id" => "1".to_owned(),
            // A look-alike of `user_id` that means something else.
            "userid" => "0".to_owned(),
            "filename" => self.filename.clone(),
            // Real rows weigh 7 to 8 KB, nearly all of it profile text.
            "about_me" => format!("<p>{}</p>", "About our services and opening hours. ".repeat(180)),
            "city" | "state_code" | "country_code" | "website" | "position" | "signup_date" => String::new(),
            _ => return None,
        })
    }
}
