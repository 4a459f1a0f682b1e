//! The views of an export: their columns with types, what a filter means for each, and how its rows are walked.
//!
//! A view more is an entry more. `tests/it/export` holds the columns against those of the store.

/// What stands in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Text,
    Integer,
    /// A number of seconds, with fractions.
    Seconds,
    /// 0 or 1 in the store, false or true in files.
    Flag,
    /// A moment in UTC, to the millisecond.
    Time,
    /// A day in UTC.
    Day,
}

/// A column of a view.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Column {
    pub name: &'static str,
    #[serde(rename = "type")]
    pub kind: Kind,
}

/// A view that can be exported.
#[derive(Debug)]
pub struct View {
    /// As users name it.
    pub name: &'static str,
    pub view: &'static str,
    pub columns: &'static [Column],
    /// Whether its rows belong to a source.
    pub sourced: bool,
    /// Whether files that are parted are parted by source and month.
    pub parted: bool,
    /// Which of its columns decides whether a row lies in a range of time, in words; none: a range means nothing here.
    pub time: Option<&'static str>,
    pub(super) walk: Walk,
}

/// The SQL of a view's walk: where its keys are, in which order, and what its filters compare.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) from: &'static str,
    pub(super) live: &'static str,
    pub(super) source: &'static str,
    pub(super) time_ms: &'static str,
    /// Rows are sorted by this alone and looked up one by one, so that no text goes through a sorter: what the key is,
    /// and the view's column that holds it. `None`: the view is small and is read as it comes.
    pub(super) key: Option<(&'static str, &'static str)>,
    pub(super) order: &'static str,
}

#[cfg(test)]
impl View {
    /// A view of nothing but columns, for the tests of those that write them.
    pub(crate) const fn of_columns(columns: &'static [Column]) -> Self {
        let walk = Walk { from: "", live: "", source: "", time_ms: "", key: None, order: "" };
        Self { name: "", view: "", columns, sourced: false, parted: false, time: None, walk }
    }
}

const fn text(name: &'static str) -> Column {
    Column { name, kind: Kind::Text }
}

const fn integer(name: &'static str) -> Column {
    Column { name, kind: Kind::Integer }
}

const fn seconds(name: &'static str) -> Column {
    Column { name, kind: Kind::Seconds }
}

const fn flag(name: &'static str) -> Column {
    Column { name, kind: Kind::Flag }
}

const fn time(name: &'static str) -> Column {
    Column { name, kind: Kind::Time }
}

const fn day(name: &'static str) -> Column {
    Column { name, kind: Kind::Day }
}

/// Every view that can be exported.
pub const VIEWS: &[View] = &[
    View {
        name: "messages",
        view: "v_messages",
        columns: &[
            text("source"),
            text("provider"),
            text("channel"),
            integer("conversation_id"),
            text("conversation_external_id"),
            integer("message_id"),
            text("message_external_id"),
            time("sent_at"),
            integer("sent_at_ms"),
            text("author_kind"),
            text("author"),
            text("body_text"),
            integer("reaction"),
            text("kind"),
            integer("seq"),
            integer("rev"),
        ],
        sourced: true,
        parted: true,
        time: Some("sent_at"),
        walk: Walk {
            from: "messages AS m JOIN conversations AS c ON c.id = m.conversation_id JOIN sources AS s ON s.id = c.source_id",
            live: "m.deleted_at_ms IS NULL AND c.deleted_at_ms IS NULL",
            source: "s.name",
            time_ms: "m.sent_at_ms",
            key: Some(("m.id", "message_id")),
            order: "",
        },
    },
    View {
        name: "conversations",
        view: "v_conversations",
        columns: &[
            text("source"),
            text("provider"),
            text("channel"),
            integer("conversation_id"),
            text("conversation_external_id"),
            text("title"),
            text("contact"),
            time("started_at"),
            time("first_message_at"),
            time("last_message_at"),
            integer("messages"),
            integer("contact_messages"),
            integer("bot_messages"),
            integer("agent_messages"),
            seconds("first_response_seconds"),
            text("first_response_by"),
            seconds("first_agent_response_seconds"),
            flag("escalated"),
            flag("contained"),
            flag("answered"),
            flag("complete"),
            seconds("first_bot_response_seconds"),
            integer("reopened"),
            time("first_contact_at"),
            time("waiting_since"),
        ],
        sourced: true,
        parted: true,
        time: Some("started_at, or else first_message_at"),
        walk: Walk {
            from: "conversations AS c JOIN conversation_stats AS k ON k.conversation_id = c.id \
                   JOIN sources AS s ON s.id = c.source_id",
            live: "c.deleted_at_ms IS NULL",
            source: "s.name",
            time_ms: "coalesce(c.started_at_ms, k.first_message_at_ms)",
            key: Some(("c.id", "conversation_id")),
            order: "",
        },
    },
    View {
        name: "response_times",
        view: "v_response_times",
        columns: &[
            integer("conversation_id"),
            time("asked_at"),
            time("replied_at"),
            seconds("seconds"),
            text("by"),
            flag("first"),
            text("source"),
            text("channel"),
            integer("asked_message_id"),
            integer("reply_message_id"),
        ],
        sourced: true,
        parted: true,
        time: Some("asked_at"),
        walk: Walk {
            from: "v_response_times AS v JOIN messages AS m ON m.id = v.asked_message_id",
            live: "1",
            source: "v.source",
            time_ms: "m.sent_at_ms",
            key: Some(("v.asked_message_id", "asked_message_id")),
            order: "",
        },
    },
    View {
        name: "daily",
        view: "v_daily",
        columns: &[
            text("source"),
            text("channel"),
            day("day"),
            integer("conversations"),
            integer("contact_messages"),
            integer("bot_messages"),
            integer("agent_messages"),
            integer("contained"),
            integer("escalated"),
            integer("unanswered"),
        ],
        sourced: true,
        parted: true,
        time: Some("the beginning of day"),
        walk: Walk {
            from: "v_daily AS v",
            live: "1",
            source: "v.source",
            time_ms: "unixepoch(v.day) * 1000",
            key: None,
            order: "v.source, v.day, v.channel",
        },
    },
    View {
        name: "hourly",
        view: "v_hourly",
        columns: &[integer("weekday"), integer("hour"), integer("conversations"), integer("contact_messages")],
        sourced: false,
        parted: false,
        time: None,
        walk: Walk {
            from: "v_hourly AS v",
            live: "1",
            source: "NULL",
            time_ms: "NULL",
            key: None,
            order: "v.weekday, v.hour",
        },
    },
    View {
        name: "people",
        view: "v_people",
        columns: &[
            integer("person_id"),
            text("name"),
            integer("conversations"),
            text("providers"),
            time("first_contact_at"),
            time("last_contact_at"),
        ],
        sourced: false,
        parted: false,
        time: Some("first_contact_at"),
        walk: Walk {
            from: "v_people AS v",
            live: "1",
            source: "NULL",
            time_ms: "CAST(round(unixepoch(v.first_contact_at, 'subsec') * 1000) AS INTEGER)",
            key: None,
            order: "v.person_id",
        },
    },
    View {
        name: "sources",
        view: "v_sources",
        columns: &[
            text("source"),
            text("provider"),
            text("last_run_status"),
            time("last_success_at"),
            seconds("lag_seconds"),
            integer("conversations"),
            integer("messages"),
            integer("incomplete"),
            integer("dead_letters"),
        ],
        sourced: true,
        parted: false,
        time: None,
        walk: Walk {
            from: "v_sources AS v",
            live: "1",
            source: "v.source",
            time_ms: "NULL",
            key: None,
            order: "v.source",
        },
    },
];

/// What is exported when nothing is named.
pub const USUAL_VIEWS: &[&str] = &["messages", "conversations", "daily"];
