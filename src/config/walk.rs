//! Walks what was written, reports unknown keys and wrong types, and passes on the rest.
//!
//! A deserialiser stops at the first problem; this does not. What it lets through always fits the shapes in `file`.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use config::{Map, Value, ValueKind};

use super::env::Env;
use super::keys::{self, Key, Kind, SOURCE, TABLES};
use super::nearest::nearest;
use super::problem::{Complaint, Findings, shown};
use crate::model::ProviderKind;

type Table = Map<String, Value>;

/// Sorted, so that the same file always gives the same report.
fn sorted(table: Table) -> BTreeMap<String, Value> {
    table.into_iter().collect()
}

/// Walks the file's top level.
pub(super) fn file_layer(written: Table, findings: &mut Findings) -> Table {
    let mut kept = Table::new();
    if let Some(Value { kind: ValueKind::Array(sources), .. }) = written.get("sources") {
        findings.name_sources(sources.iter().map(|source| text_in(source, "name").map(str::to_owned)).collect());
    }
    for (name, value) in sorted(written) {
        match (name.as_str(), value.kind) {
            ("sources", ValueKind::Array(sources)) => {
                let sources: Vec<Value> =
                    sources.into_iter().enumerate().map(|(at, value)| source(at, value, findings)).collect();
                kept.insert(name, sources.into());
            }
            ("sources", _) => findings.add(
                "sources",
                Complaint::new("must be a list of tables").suggest("begin every source with a line [[sources]]"),
            ),
            (_, kind) => match (keys::table(&name), kind) {
                (Some(keys), ValueKind::Table(inner)) => {
                    let inner = table(&name, keys, None, inner, findings);
                    kept.insert(name, inner.into());
                }
                (Some(_), _) => {
                    let complaint = Complaint::new("must be a table");
                    findings.add(&name, complaint.suggest(format!("write its keys below a line [{name}]")));
                }
                (None, _) => {
                    let complaint = Complaint::new(format!("unknown key {}", shown(&name)));
                    findings.add(&clean(&name), complaint.suggest(top_level_hint(&name)));
                }
            },
        }
    }
    kept
}

fn source(at: usize, value: Value, findings: &mut Findings) -> Value {
    let place = format!("sources[{at}]");
    let provider = text_in(&value, "provider").and_then(ProviderKind::parse);
    match value.kind {
        ValueKind::Table(inner) => table(&place, SOURCE, provider, inner, findings).into(),
        _ => {
            findings
                .add(&place, Complaint::new("must be a table").suggest("begin every source with a line [[sources]]"));
            // An empty table keeps the positions of the sources after it.
            Table::new().into()
        }
    }
}

fn text_in<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    let ValueKind::Table(table) = &value.kind else { return None };
    match &table.get(key)?.kind {
        ValueKind::String(text) => Some(text),
        _ => None,
    }
}

fn table(
    place: &str,
    keys: &'static [Key],
    provider: Option<ProviderKind>,
    written: Table,
    findings: &mut Findings,
) -> Table {
    let mut kept = Table::new();
    for (name, value) in sorted(written) {
        let path = format!("{place}.{}", clean(&name));
        match known(&name, keys, provider) {
            Err(complaint) => findings.add(&path, complaint),
            Ok(key) if fits(key.kind, &value.kind) => {
                kept.insert(name, value);
            }
            Ok(key) => findings.add(&path, wrong_type(key, &value.kind)),
        }
    }
    kept
}

/// Finds a key by its name, for this provider.
fn known(name: &str, keys: &'static [Key], provider: Option<ProviderKind>) -> Result<&'static Key, Complaint> {
    let foreign = |key: &Key| key.only.filter(|only| provider.is_some_and(|provider| provider != *only));
    if let Some(key) = keys.iter().find(|key| key.name == name) {
        return match foreign(key) {
            Some(only) => Err(Complaint::new(format!("`{name}` is only for {only}")).suggest("leave it out")),
            None => Ok(key),
        };
    }
    let complaint = Complaint::new(format!("unknown key {}", shown(name)));
    if let Some(home) = keys::home_of(name) {
        return Err(complaint.suggest(format!("`{name}` belongs below {home}")));
    }
    let open = keys.iter().filter(|key| foreign(key).is_none()).map(|key| key.name);
    Err(match nearest(name, open) {
        Some((near, true)) => complaint.suggest(format!("did you mean `{near}`?")),
        Some((near, false)) => complaint.suggest(format!("the nearest known key is `{near}`")),
        None => complaint,
    })
}

fn top_level_hint(name: &str) -> String {
    if let Some(home) = keys::home_of(name) {
        return format!("`{name}` belongs below {home}");
    }
    let tables = TABLES.iter().map(|(table, _)| *table).chain(["sources"]);
    let heading = |name: &str| if name == "sources" { "[[sources]]".to_owned() } else { format!("[{name}]") };
    match nearest(name, tables) {
        Some((near, true)) => format!("did you mean {}?", heading(near)),
        Some((near, false)) => format!("the nearest known table is {}", heading(near)),
        None => String::new(),
    }
}

/// A key's name without anything that would disturb a terminal.
fn clean(name: &str) -> String {
    name.escape_debug().take(80).collect()
}

fn fits(kind: Kind, value: &ValueKind) -> bool {
    match (kind, value) {
        (Kind::Text | Kind::Secret | Kind::Time, ValueKind::String(_))
        | (Kind::Flag, ValueKind::Boolean(_))
        | (Kind::Number, ValueKind::I64(_)) => true,
        (Kind::Texts, ValueKind::Array(items)) => items.iter().all(|item| matches!(item.kind, ValueKind::String(_))),
        _ => false,
    }
}

fn wrong_type(key: &Key, value: &ValueKind) -> Complaint {
    let name = key.name;
    match (key.kind, value) {
        (Kind::Time, ValueKind::I64(number)) => {
            Complaint::new("must be text with a unit").suggest(format!("{name} = \"{number}s\" if seconds were meant"))
        }
        (Kind::Text, ValueKind::I64(_) | ValueKind::Float(_) | ValueKind::Boolean(_)) => {
            Complaint::new("must be text").suggest(format!("put it in quotes: {name} = \"…\""))
        }
        (Kind::Text | Kind::Time | Kind::Secret, _) => Complaint::new("must be text in quotes"),
        (Kind::Flag, _) => Complaint::new("must be true or false, without quotes"),
        (Kind::Number, ValueKind::String(text)) if text.trim().parse::<i64>().is_ok() => {
            Complaint::new("must be a whole number").suggest(format!("without quotes: {name} = {}", text.trim()))
        }
        (Kind::Number, _) => Complaint::new("must be a whole number"),
        (Kind::Texts, _) => Complaint::new("must be a list of texts").suggest(format!("{name} = [\"…\", \"…\"]")),
    }
}

const PREFIX: &str = "CHATLOOM__";

/// Walks the variables `CHATLOOM__TABLE__KEY` and `CHATLOOM__SOURCES__POSITION__KEY` (counted from 0) over the file's
/// layer. The answer's keys are paths as the `config` crate reads them.
pub(super) fn env_layer(env: &Env, file: &Table, findings: &mut Findings) -> Table {
    let sources = match file.get("sources").map(|value| &value.kind) {
        Some(ValueKind::Array(sources)) => sources.as_slice(),
        _ => &[],
    };
    let mut kept = Table::new();
    for (variable, value) in env.beginning_with(PREFIX) {
        match variable_value(variable, value, sources) {
            Err(complaint) => findings.add_variable(variable, complaint),
            Ok((path, value)) => {
                findings.overridden(&path, variable);
                kept.insert(path, value);
            }
        }
    }
    kept
}

fn variable_value(variable: &str, value: &OsStr, sources: &[Value]) -> Result<(String, Value), Complaint> {
    let lower = variable.strip_prefix(PREFIX).unwrap_or(variable).to_lowercase();
    let parts: Vec<&str> = lower.split("__").collect();
    let (path, key) = match parts.as_slice() {
        ["sources", position, name] => {
            let Some((at, source)) = position.parse::<usize>().ok().and_then(|at| Some((at, sources.get(at)?))) else {
                return Err(Complaint::new(format!("the file has no source at position {}", shown(position)))
                    .suggest("positions count from 0: CHATLOOM__SOURCES__0__POLL is the first source's"));
            };
            let provider = text_in(source, "provider").and_then(ProviderKind::parse);
            (format!("sources[{at}].{name}"), known(name, SOURCE, provider)?)
        }
        [table, name] if keys::table(table).is_some() => {
            (format!("{table}.{name}"), known(name, keys::table(table).unwrap_or_default(), None)?)
        }
        _ => {
            let names: Vec<String> = TABLES
                .iter()
                .flat_map(|(table, keys)| {
                    keys.iter().map(move |key| format!("{PREFIX}{table}__{}", key.name).to_uppercase())
                })
                .collect();
            let complaint = Complaint::new("stands for no known key");
            return Err(match nearest(variable, names.iter().map(String::as_str)) {
                Some((near, true)) => complaint.suggest(format!("did you mean {near}?")),
                Some((near, false)) => complaint.suggest(format!("the nearest known one is {near}")),
                None => complaint,
            });
        }
    };
    let text = value.to_str().ok_or_else(|| Complaint::new("is not text"))?;
    Ok((path, Value::new(None, coerce(key, text)?)))
}

/// Everything in the environment is text; numbers, flags and lists (with commas) are read out of it.
fn coerce(key: &Key, text: &str) -> Result<ValueKind, Complaint> {
    match key.kind {
        Kind::Text | Kind::Secret | Kind::Time => Ok(ValueKind::String(text.to_owned())),
        Kind::Number => text.trim().parse().map(ValueKind::I64).map_err(|_| Complaint::new("must be a whole number")),
        Kind::Flag => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(ValueKind::Boolean(true)),
            "false" | "0" => Ok(ValueKind::Boolean(false)),
            _ => Err(Complaint::new("must be true or false")),
        },
        Kind::Texts => {
            let items = text.split(',').map(|item| Value::new(None, item.trim())).collect();
            Ok(ValueKind::Array(items))
        }
    }
}
