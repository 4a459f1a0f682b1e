//! What a log line looks like. Ours and not `tracing_subscriber`'s, for three reasons: the fields of the spans around
//! an event belong into its line once and by their own names; a line must stay one line whatever a provider sends;
//! and the journal wants priorities instead of times.

use serde_json::{Map, Value};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::tame::{quoted, tame, tame_json};
use super::values::Values;

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Time, level, message and fields, for people.
    Text { colour: bool },
    /// Text for the journal, which knows the time: a priority (`<4>`) that it takes off, then message and fields.
    Journal,
    /// One JSON object a line.
    Json,
}

/// The layer that writes a line for every event.
pub struct Lines<W> {
    look: Look,
    clock: fn() -> i64,
    write: W,
}

impl<W: Fn(&str) + 'static> Lines<W> {
    /// `clock` gives milliseconds since 1970 UTC; `write` gets whole lines, their end included.
    #[must_use]
    pub fn new(look: Look, clock: fn() -> i64, write: W) -> Self {
        Self { look, clock, write }
    }

    fn line(&self, level: Level, target: &str, mut fields: Values) -> String {
        let message = match fields.take("message") {
            Some(Value::String(message)) => message,
            Some(other) => other.to_string(),
            None => String::new(),
        };
        if self.look == Look::Json {
            self.json(level, target, &message, &fields)
        } else {
            self.text(level, target, &message, &fields)
        }
    }

    fn text(&self, level: Level, target: &str, message: &str, fields: &Values) -> String {
        let mut line = String::with_capacity(160);
        match self.look {
            Look::Journal => line.push_str(priority(level)),
            Look::Text { colour: false } | Look::Json => {
                line.push_str(&format_args!("{} {level:>5} ", self.time()).to_string())
            }
            Look::Text { colour: true } => {
                let paint = match level {
                    Level::ERROR => "31",
                    Level::WARN => "33",
                    Level::INFO => "32",
                    _ => "34",
                };
                line.push_str(
                    &format_args!("\u{1b}[2m{}\u{1b}[0m \u{1b}[{paint}m{level:>5}\u{1b}[0m ", self.time()).to_string(),
                );
            }
        }
        // Of ours, the message says enough; of others, one wants to know whose it is.
        if !is_ours(target) {
            line.push_str(&tame(target));
            line.push_str(": ");
        }
        line.push_str(&tame(message));
        for (name, value) in fields.in_order() {
            let value = match value {
                Value::String(text) => quoted(text),
                other => other.to_string().into(),
            };
            for part in [" ", name, "=", &value] {
                line.push_str(part);
            }
        }
        line.push('\n');
        line
    }

    fn json(&self, level: Level, target: &str, message: &str, fields: &Values) -> String {
        let mut object = Map::new();
        object.insert("time".to_owned(), self.time().into());
        object.insert("level".to_owned(), level.as_str().to_ascii_lowercase().into());
        object.insert("message".to_owned(), message.into());
        for (name, value) in fields.in_order() {
            // The three above are the line's own.
            if !object.contains_key(name) {
                object.insert(name.to_owned(), value.clone());
            }
        }
        object.entry("target").or_insert_with(|| target.into());
        let json = Value::Object(object).to_string();
        let mut line = tame_json(&json).into_owned();
        line.push('\n');
        line
    }

    fn time(&self) -> String {
        let now = jiff::Timestamp::from_millisecond((self.clock)()).unwrap_or_default();
        format!("{now:.3}")
    }
}

fn is_ours(target: &str) -> bool {
    target.split("::").next() == Some(env!("CARGO_CRATE_NAME"))
}

/// Syslog's numbers: 3 error, 4 warning, 6 informational, 7 debug.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        _ => "<7>",
    }
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    W: Fn(&str) + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut values = Values::default();
            attributes.record(&mut values);
            span.extensions_mut().insert(values);
        }
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(values) = span.extensions_mut().get_mut::<Values>()
        {
            record.record(values);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Values::default();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(values) = span.extensions().get::<Values>() {
                fields.add(values);
            }
        }
        event.record(&mut fields);
        let metadata = event.metadata();
        (self.write)(&self.line(*metadata.level(), metadata.target(), fields));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    fn lines(look: Look, tell: impl FnOnce()) -> Vec<String> {
        let written = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&written);
        let layer =
            Lines::new(look, || 1_772_452_800_123, move |line: &str| into.lock().unwrap().push(line.to_owned()));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), tell);
        let lines = written.lock().unwrap().clone();
        assert!(lines.iter().all(|line| line.ends_with('\n') && line.lines().count() == 1), "{lines:?}");
        lines
    }

    fn story() {
        let span = tracing::error_span!("run", source = "agents", run = 7_i64, stream = tracing::field::Empty);
        span.in_scope(|| {
            tracing::info!(http.status = 429_u16, wait.duration_ms = 1_500_u64, "put off");
            span.record("stream", "messages");
            tracing::warn!(item = %"a\nb\u{1b}[2J", source = "agents", error = "two words", "not read\r\nforged=1");
        });
        tracing::error!(target: "hyper::client", yes = true, part = 0.5, "somebody else's");
    }

    #[test]
    fn text_lines_name_whose_they_are_and_stay_one_line() {
        assert_eq!(
            lines(Look::Text { colour: false }, story),
            [
                "2026-03-02T12:00:00.123Z  INFO put off source=agents run=7 http.status=429 wait.duration_ms=1500\n",
                "2026-03-02T12:00:00.123Z  WARN not read\\r\\nforged=1 source=agents stream=messages run=7 \
                 item=\"a\\nb\\u{1b}[2J\" error=\"two words\"\n",
                "2026-03-02T12:00:00.123Z ERROR hyper::client: somebody else's yes=true part=0.5\n",
            ]
        );
        let coloured = lines(Look::Text { colour: true }, story);
        assert!(coloured[1].contains("\u{1b}[33m WARN\u{1b}[0m not read"), "{coloured:?}");
    }

    #[test]
    fn the_journal_gets_priorities_and_no_times() {
        assert_eq!(
            lines(Look::Journal, story),
            [
                "<6>put off source=agents run=7 http.status=429 wait.duration_ms=1500\n",
                "<4>not read\\r\\nforged=1 source=agents stream=messages run=7 item=\"a\\nb\\u{1b}[2J\" \
                 error=\"two words\"\n",
                "<3>hyper::client: somebody else's yes=true part=0.5\n",
            ]
        );
    }

    #[test]
    fn json_lines_keep_numbers_and_every_byte() {
        let told = lines(Look::Json, story);
        let told: Vec<Value> = told.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(told[0]["level"], "info");
        assert_eq!(told[0]["time"], "2026-03-02T12:00:00.123Z");
        assert_eq!(
            (&told[0]["source"], &told[0]["run"], &told[0]["http.status"]),
            (&"agents".into(), &7.into(), &429.into())
        );
        assert_eq!(told[1]["item"], "a\nb\u{1b}[2J");
        assert_eq!(told[1]["message"], "not read\r\nforged=1");
        assert_eq!((&told[2]["target"], &told[2]["part"]), (&"hyper::client".into(), &0.5.into()));
    }
}
