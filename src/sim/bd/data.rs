//! Threads, messages and members of a simulated directory site, and the builders that tests use.

use serde_json::Value;

use super::BdQuirks;
use crate::sim::rng::hex32;

/// Values that replace a row's own in what is served (and in what filters see), for odd rows: zero dates, null.
/// `truth()` does not look at them.
pub type Overrides = Vec<(&'static str, Value)>;

/// A conversation.
#[derive(Debug, Clone)]
pub struct BdThread {
    pub id: u64,
    pub token: String,
    /// As stored: usually one member token, possibly several with commas, an id or an e-mail address.
    pub owner: String,
    /// As stored, like `owner`.
    pub responders: String,
    pub open: bool,
    pub created_ms: i64,
    /// A new message does not move it by itself: see [`BdData::touch_thread`].
    pub updated_ms: i64,
    pub deleted_ms: Option<i64>,
    pub origin_ip: String,
    pub request_uri: String,
    pub overrides: Overrides,
    /// Rises with every write; the default order goes by it.
    pub written: u64,
}

/// A message: the plain text that a reader sees, and the HTML that is served.
#[derive(Debug, Clone)]
pub struct BdMessage {
    pub id: u64,
    pub token: String,
    pub thread_token: String,
    pub owner: String,
    pub read: bool,
    pub text: String,
    pub html: String,
    pub created_ms: i64,
    pub overrides: Overrides,
    pub written: u64,
}

/// A member.
#[derive(Debug, Clone)]
pub struct BdUser {
    pub id: u64,
    pub token: String,
    pub first_name: String,
    pub last_name: String,
    pub email: String,
    pub phone: String,
    pub company: String,
    pub filename: String,
    /// 1 inactive, 2 active, 3 cancelled, 4 on hold, 5 past due.
    pub active: u8,
    pub overrides: Overrides,
    pub written: u64,
}

/// Everything that one simulated site holds.
#[derive(Debug, Clone)]
pub struct BdData {
    pub key: String,
    pub website: String,
    /// IANA name; times are served as wall-clock time of this zone.
    pub timezone: String,
    pub threads: Vec<BdThread>,
    pub messages: Vec<BdMessage>,
    pub users: Vec<BdUser>,
    pub quirks: BdQuirks,
    /// What was removed for good, kept for `truth()` alone.
    pub removed_threads: Vec<BdThread>,
    /// See `removed_threads`.
    pub removed_messages: Vec<BdMessage>,
    next_id: u64,
    writes: u64,
}

impl Default for BdData {
    fn default() -> Self {
        Self::new()
    }
}

impl BdData {
    /// An empty site in New York's zone, with the key `bd-key`.
    #[must_use]
    pub fn new() -> Self {
        Self {
            key: "bd-key".to_owned(),
            website: "https://www.example.test".to_owned(),
            timezone: "America/New_York".to_owned(),
            threads: Vec::new(),
            messages: Vec::new(),
            users: Vec::new(),
            quirks: BdQuirks::default(),
            removed_threads: Vec::new(),
            removed_messages: Vec::new(),
            next_id: 1,
            writes: 0,
        }
    }

    fn id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    fn written(&mut self) -> u64 {
        self.writes += 1;
        self.writes
    }

    /// Adds a member and gives their token.
    pub fn add_user(&mut self, first_name: &str, last_name: &str) -> String {
        let id = self.id();
        let slug = format!("{first_name}-{last_name}-{id}").to_lowercase().replace(' ', "-");
        let token = hex32(0xBD00_0000 ^ id);
        let user = BdUser {
            id,
            token: token.clone(),
            first_name: first_name.to_owned(),
            last_name: last_name.to_owned(),
            email: format!("member{id}@example.test"),
            phone: format!("+1 202 555 01{:02}", id % 100),
            company: String::new(),
            filename: format!("members/{slug}"),
            active: 2,
            overrides: Vec::new(),
            written: self.written(),
        };
        self.users.push(user);
        token
    }

    /// Adds an open thread and gives its token.
    pub fn add_thread(&mut self, owner: &str, responders: &str, at_ms: i64) -> String {
        let id = self.id();
        let token = hex32(0x7EAD_0000 ^ id);
        let profile = self.users.iter().find(|user| user.token == responders).map(|user| user.filename.clone());
        let thread = BdThread {
            id,
            token: token.clone(),
            owner: owner.to_owned(),
            responders: responders.to_owned(),
            open: true,
            created_ms: at_ms,
            updated_ms: at_ms,
            deleted_ms: None,
            origin_ip: format!("192.0.2.{}", id % 254 + 1),
            request_uri: format!("/{}/connect", profile.unwrap_or_else(|| "contact".to_owned())),
            overrides: Vec::new(),
            written: self.written(),
        };
        self.threads.push(thread);
        token
    }

    /// Adds a message whose HTML is its text, escaped, in one paragraph. Gives its id.
    pub fn add_message(&mut self, thread: &str, owner: &str, at_ms: i64, text: &str) -> u64 {
        let html = format!("<p>{}</p>", escape(text).replace('\n', "<br>"));
        self.add_html(thread, owner, at_ms, text, &html)
    }

    /// Adds a message as a pair: what a reader sees, and the HTML that is stored. Gives its id.
    pub fn add_html(&mut self, thread: &str, owner: &str, at_ms: i64, text: &str, html: &str) -> u64 {
        let id = self.id();
        let message = BdMessage {
            id,
            token: hex32(0x3E55_0000 ^ id),
            thread_token: thread.to_owned(),
            owner: owner.to_owned(),
            read: false,
            text: text.to_owned(),
            html: html.to_owned(),
            created_ms: at_ms,
            overrides: Vec::new(),
            written: self.written(),
        };
        self.messages.push(message);
        id
    }

    /// Changes what a message says.
    pub fn edit_message(&mut self, id: u64, text: &str) {
        let html = format!("<p>{}</p>", escape(text).replace('\n', "<br>"));
        self.change_message(id, |message| {
            text.clone_into(&mut message.text);
            message.html = html;
        });
    }

    /// Changes a message in any way.
    pub fn change_message(&mut self, id: u64, change: impl FnOnce(&mut BdMessage)) {
        let written = self.written();
        if let Some(message) = self.messages.iter_mut().rfind(|message| message.id == id) {
            change(message);
            message.written = written;
        }
    }

    /// Changes a thread in any way.
    pub fn change_thread(&mut self, token: &str, change: impl FnOnce(&mut BdThread)) {
        let written = self.written();
        if let Some(thread) = self.threads.iter_mut().rfind(|thread| thread.token == token) {
            change(thread);
            thread.written = written;
        }
    }

    /// Moves a thread's `updated_at`.
    pub fn touch_thread(&mut self, token: &str, at_ms: i64) {
        self.change_thread(token, |thread| thread.updated_ms = at_ms);
    }

    /// Soft-deletes a thread: it is listed further, with `deleted_at`.
    pub fn soft_delete_thread(&mut self, token: &str, at_ms: i64) {
        self.change_thread(token, |thread| {
            thread.deleted_ms = Some(at_ms);
            thread.updated_ms = at_ms;
        });
    }

    /// Removes a message for good: it leaves no trace but a smaller total.
    pub fn remove_message(&mut self, id: u64) {
        if let Some(index) = self.messages.iter().position(|message| message.id == id) {
            self.removed_messages.push(self.messages.remove(index));
        }
    }

    /// Removes a thread for good, with its messages.
    pub fn remove_thread(&mut self, token: &str) {
        if let Some(index) = self.threads.iter().position(|thread| thread.token == token) {
            self.removed_threads.push(self.threads.remove(index));
        }
        let (gone, kept) = std::mem::take(&mut self.messages).into_iter().partition(|m| m.thread_token == token);
        self.messages = kept;
        self.removed_messages.extend::<Vec<_>>(gone);
    }
}

/// Escapes text for HTML, as the site's editor does.
pub(in crate::sim) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
