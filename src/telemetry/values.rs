//! The fields of an event or a span, taken down in the order in which they come.

use std::fmt;

use serde_json::Value;
use tracing::field::{Field, Visit};

/// Fields by name. One that comes again takes the place of the one before it.
#[derive(Debug, Clone, Default)]
pub(super) struct Values(Vec<(&'static str, Value)>);

/// What says whose line it is. These come first, in this order.
const WHOSE: [&str; 4] = ["source", "stream", "run", "item"];

impl Values {
    pub(super) fn set(&mut self, name: &'static str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// Takes over all fields of another.
    pub(super) fn add(&mut self, other: &Self) {
        for (name, value) in &other.0 {
            self.set(name, value.clone());
        }
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.remove(at).1)
    }

    /// The fields, those that say whose line it is first.
    pub(super) fn in_order(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        let place = |name: &str| WHOSE.iter().position(|whose| *whose == name).unwrap_or(WHOSE.len());
        let mut fields: Vec<_> = self.0.iter().map(|(name, value)| (*name, value)).collect();
        fields.sort_by_key(|(name, _)| place(name));
        fields.into_iter()
    }
}

impl Visit for Values {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field.name(), format!("{value:?}").into());
    }
}
