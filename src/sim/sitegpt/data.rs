//! Chatbots and threads of a simulated SiteGPT account, and the builders that tests use.

use super::SitegptQuirks;
use crate::sim::rng::uuid;

/// A chatbot.
#[derive(Debug, Clone)]
pub struct Chatbot {
    /// Digits.
    pub id: String,
    pub title: String,
}

/// A visitor who said who they are.
#[derive(Debug, Clone, Default)]
pub struct ChatUser {
    pub id: String,
    pub name: Option<String>,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub verified: bool,
    pub created_ms: i64,
}

/// What a message row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageType {
    Normal,
    User,
    Agent,
    System,
}

impl MessageType {
    /// The API's spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "NORMAL_MESSAGE",
            Self::User => "USER_MESSAGE",
            Self::Agent => "AGENT_MESSAGE",
            Self::System => "SYSTEM_MESSAGE",
        }
    }
}

/// A question or an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    pub text: String,
    pub at_ms: i64,
}

impl Side {
    /// A side that was said at a time.
    #[must_use]
    pub fn new(text: &str, at_ms: i64) -> Self {
        Self { text: text.to_owned(), at_ms }
    }
}

/// One message row: a question, an answer, or both.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// 18 digits.
    pub id: String,
    pub kind: MessageType,
    pub system_type: Option<String>,
    pub question: Option<Side>,
    pub answer: Option<Side>,
    /// -1, 0 or 1.
    pub reaction: i64,
    pub sources: Vec<String>,
    pub model: Option<String>,
    pub agent_name: Option<String>,
    /// v2 only.
    pub created_ms: i64,
    /// v2 only.
    pub updated_ms: i64,
}

/// A thread (v2: a conversation).
#[derive(Debug, Clone)]
pub struct Thread {
    /// UUID-like unless its creator chose another text.
    pub id: String,
    pub chatbot: String,
    /// A human answers (`AGENT`) instead of the software (`AI`).
    pub agent_mode: bool,
    pub started_ms: i64,
    pub updated_ms: i64,
    pub ended_ms: Option<i64>,
    pub escalated: bool,
    pub important: bool,
    pub resolved: bool,
    pub messages_read: u64,
    pub user: Option<ChatUser>,
    /// v2 only.
    pub title: Option<String>,
    /// v2 only.
    pub page_url: Option<String>,
    pub messages: Vec<Exchange>,
}

/// Everything that one simulated account holds.
#[derive(Debug, Clone)]
pub struct SitegptData {
    /// The v0 key.
    pub key: String,
    /// The v2 token.
    pub token: String,
    pub chatbots: Vec<Chatbot>,
    pub threads: Vec<Thread>,
    pub quirks: SitegptQuirks,
    /// What was removed, kept for `truth()` alone.
    pub removed_threads: Vec<Thread>,
    /// Thread and message row; see `removed_threads`.
    pub removed_messages: Vec<(Thread, Exchange)>,
    next: u64,
}

impl Default for SitegptData {
    fn default() -> Self {
        Self::new()
    }
}

impl SitegptData {
    /// An empty account with the v0 key `sitegpt-key` and the v2 token `sgpt_test`.
    #[must_use]
    pub fn new() -> Self {
        Self {
            key: "sitegpt-key".to_owned(),
            token: "sgpt_test".to_owned(),
            chatbots: Vec::new(),
            threads: Vec::new(),
            quirks: SitegptQuirks::default(),
            removed_threads: Vec::new(),
            removed_messages: Vec::new(),
            next: 0,
        }
    }

    /// 18 digits, above what a double can hold exactly, rising.
    fn number(&mut self) -> String {
        self.next += 1;
        (412_345_678_901_234_500 + self.next * 37).to_string()
    }

    /// Adds a chatbot and gives its id.
    pub fn add_chatbot(&mut self, title: &str) -> String {
        let id = self.number();
        self.chatbots.push(Chatbot { id: id.clone(), title: title.to_owned() });
        id
    }

    /// Adds an empty anonymous thread and gives its id.
    pub fn add_thread(&mut self, chatbot: &str, at_ms: i64) -> String {
        self.next += 1;
        let id = uuid(0x517E_0000 ^ self.next);
        self.add_thread_named(chatbot, &id, at_ms);
        id
    }

    /// Adds an empty anonymous thread under an id of the caller's choice.
    pub fn add_thread_named(&mut self, chatbot: &str, id: &str, at_ms: i64) {
        self.threads.push(Thread {
            id: id.to_owned(),
            chatbot: chatbot.to_owned(),
            agent_mode: false,
            started_ms: at_ms,
            updated_ms: at_ms,
            ended_ms: None,
            escalated: false,
            important: false,
            resolved: false,
            messages_read: 0,
            user: None,
            title: None,
            page_url: None,
            messages: Vec::new(),
        });
    }

    /// Changes a thread in any way.
    pub fn change_thread(&mut self, id: &str, change: impl FnOnce(&mut Thread)) {
        if let Some(thread) = self.threads.iter_mut().rfind(|thread| thread.id == id) {
            change(thread);
        }
    }

    /// Says who the visitor of a thread is.
    pub fn identify(&mut self, thread: &str, name: Option<&str>, email: Option<&str>, phone: Option<&str>) {
        let id = self.number();
        self.change_thread(thread, |thread| {
            let text = |value: Option<&str>| value.map(str::to_owned);
            let (name, email, phone) = (text(name), text(email), text(phone));
            thread.user = Some(ChatUser { id, name, email, phone, verified: false, created_ms: thread.started_ms });
        });
    }

    /// Adds a message row of any type and gives its id.
    pub fn add_exchange(
        &mut self,
        thread: &str,
        kind: MessageType,
        question: Option<Side>,
        answer: Option<Side>,
    ) -> String {
        let id = self.number();
        let last = answer.iter().chain(&question).map(|side| side.at_ms).max();
        let exchange = Exchange {
            id: id.clone(),
            kind,
            system_type: None,
            question,
            answer,
            reaction: 0,
            sources: Vec::new(),
            model: (kind == MessageType::Normal).then(|| "gpt-4o-mini".to_owned()),
            agent_name: None,
            created_ms: last.unwrap_or_default(),
            updated_ms: last.unwrap_or_default(),
        };
        self.change_thread(thread, |thread| {
            thread.updated_ms = thread.updated_ms.max(last.unwrap_or(thread.updated_ms));
            thread.messages.push(exchange);
        });
        id
    }

    /// Adds a visitor's question with the software's answer.
    pub fn add_normal(&mut self, thread: &str, question: (&str, i64), answer: (&str, i64)) -> String {
        let side = |(text, at_ms)| Some(Side::new(text, at_ms));
        self.add_exchange(thread, MessageType::Normal, side(question), side(answer))
    }

    /// Adds what a visitor says to a human.
    pub fn add_user(&mut self, thread: &str, text: &str, at_ms: i64) -> String {
        self.add_exchange(thread, MessageType::User, Some(Side::new(text, at_ms)), None)
    }

    /// Adds what a human answers.
    pub fn add_agent(&mut self, thread: &str, name: &str, text: &str, at_ms: i64) -> String {
        let id = self.add_exchange(thread, MessageType::Agent, None, Some(Side::new(text, at_ms)));
        self.change_message(thread, &id, |message| message.agent_name = Some(name.to_owned()));
        id
    }

    /// Adds an event (`CONVERSATION_ESCALATED`); an escalation also marks the thread.
    pub fn add_system(&mut self, thread: &str, what: &str, text: &str, at_ms: i64) -> String {
        let id = self.add_exchange(thread, MessageType::System, None, Some(Side::new(text, at_ms)));
        self.change_message(thread, &id, |message| message.system_type = Some(what.to_owned()));
        if what == "CONVERSATION_ESCALATED" {
            self.change_thread(thread, |thread| thread.escalated = true);
        }
        id
    }

    /// Changes a message row in any way.
    pub fn change_message(&mut self, thread: &str, id: &str, change: impl FnOnce(&mut Exchange)) {
        self.change_thread(thread, |thread| {
            if let Some(message) = thread.messages.iter_mut().rfind(|message| message.id == id) {
                change(message);
            }
        });
    }

    /// Removes a thread: it leaves the list, and asking for it gives 404.
    pub fn remove_thread(&mut self, id: &str) {
        if let Some(index) = self.threads.iter().position(|thread| thread.id == id) {
            self.removed_threads.push(self.threads.remove(index));
        }
    }

    /// Removes one message row.
    pub fn remove_message(&mut self, thread: &str, id: &str) {
        let mut removed = None;
        self.change_thread(thread, |thread| {
            if let Some(index) = thread.messages.iter().position(|message| message.id == id) {
                let message = thread.messages.remove(index);
                removed = Some((Thread { messages: Vec::new(), ..thread.clone() }, message));
            }
        });
        self.removed_messages.extend(removed);
    }

    pub(super) fn chatbot(&self, id: &str) -> Option<&Chatbot> {
        self.chatbots.iter().find(|chatbot| chatbot.id == id)
    }

    pub(super) fn threads_of<'a>(&'a self, chatbot: &'a str) -> impl Iterator<Item = &'a Thread> {
        self.threads.iter().filter(move |thread| thread.chatbot == chatbot)
    }
}
