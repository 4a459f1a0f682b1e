//! Whether the file is sound, and what it misses of what the providers hold.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde::Serialize;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::build::build_sources;
use crate::config::SourceConfig;
use crate::provider::Counted;
use crate::store::{
    Gap, StoreError, changed_texts, integrity, kept, known_gaps, open_reader, search_problem, source_names, until,
};

/// The document of `verify --json`.
#[derive(Debug, Serialize)]
pub struct VerifyReport {
    /// Whether the file is sound, nothing is missing, and every provider that counts could be asked.
    pub ok: bool,
    /// `ok`, or what is wrong with the file.
    pub integrity: String,
    /// `ok`, or why the full-text index cannot be trusted. It is made of the messages, and can be made again.
    pub search: String,
    pub sources: Vec<SourceGaps>,
}

/// One source's part of it.
#[derive(Debug, Serialize)]
pub struct SourceGaps {
    pub name: String,
    pub gaps: Vec<Gap>,
    /// Why the provider's own counts are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Why the provider was not asked, though others are: `disabled`, or `not_configured`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_asked: Option<&'static str>,
}

/// Looks at the file, and asks the enabled ones of `configured` for their counts unless `offline`. Sources that only
/// the store has are looked at too; `names` narrows all of them down.
///
/// # Errors
/// The file is not there, or no store of this version. A damaged one is no error: it stands in the report.
pub async fn verify(
    store_path: &Path,
    configured: &[SourceConfig],
    names: &[String],
    offline: bool,
    cancel: &CancellationToken,
) -> Result<VerifyReport, StoreError> {
    let wanted = |name: &str| names.is_empty() || names.iter().any(|one| one == name);
    let mut store = match open_reader(store_path) {
        Err(error @ (StoreError::Sql { .. } | StoreError::Damaged { .. })) => {
            return Ok(damaged(error.to_string()));
        }
        opened => opened?,
    };
    // A large file takes minutes to be looked at; what is told of it once it was told to stop, nobody reads.
    let told = cancel.clone();
    until(&mut store, move || told.is_cancelled())?;
    let (mut problems, index) = integrity(&store);
    let index = index.or_else(|| if problems.is_empty() { search_problem(&store) } else { None });
    if problems.is_empty() {
        problems = changed_texts(&store).unwrap_or_else(|error| vec![error.to_string()]);
    }
    let asked: Vec<&SourceConfig> =
        configured.iter().filter(|source| !offline && source.enabled && wanted(&source.name)).collect();
    let mut counts = ask(&asked, cancel).await;
    let mut found: Vec<String> = configured.iter().map(|source| source.name.clone()).collect();
    let read = || -> Result<Vec<SourceGaps>, StoreError> {
        for name in source_names(&store)? {
            if !found.contains(&name) {
                found.push(name);
            }
        }
        let mut sources = Vec::new();
        for name in found.into_iter().filter(|name| wanted(name)) {
            let source = configured.iter().find(|source| source.name == name);
            let enabled = source.is_some_and(|source| source.enabled);
            let not_asked = (!enabled && !offline).then(|| source.map_or("not_configured", |_| "disabled"));
            let mut gaps =
                known_gaps(&store, &name)?.unwrap_or_else(|| if enabled { never_read() } else { Vec::new() });
            let error = match counts.remove(&name) {
                None => None,
                Some(Err(error)) => Some(error),
                Some(Ok(counted)) => {
                    for count in counted {
                        gaps.extend(compare(kept(&store, &name, count.stream)?, &count));
                    }
                    None
                }
            };
            sources.push(SourceGaps { name, gaps, error, not_asked });
        }
        Ok(sources)
    };
    let sources = match read() {
        Ok(sources) => sources,
        // Reading may stumble over what the check found.
        Err(error) if problems.is_empty() => return Err(error),
        Err(_) => Vec::new(),
    };
    let ok = problems.is_empty()
        && index.is_none()
        && sources.iter().all(|source| source.gaps.is_empty() && source.error.is_none());
    let integrity = if problems.is_empty() { "ok".to_owned() } else { problems.join("; ") };
    Ok(VerifyReport { ok, integrity, search: index.unwrap_or_else(|| "ok".to_owned()), sources })
}

fn damaged(integrity: String) -> VerifyReport {
    VerifyReport { ok: false, integrity, search: "ok".to_owned(), sources: Vec::new() }
}

fn never_read() -> Vec<Gap> {
    vec![Gap { conversation: None, stream: None, have: 0, provider: None, reason: "first_pass".to_owned() }]
}

fn compare(have: i64, counted: &Counted) -> Option<Gap> {
    let provider = i64::try_from(counted.total).unwrap_or(i64::MAX);
    (have != provider).then(|| Gap {
        conversation: None,
        stream: Some(counted.stream.to_owned()),
        have,
        provider: Some(provider),
        reason: "count".to_owned(),
    })
}

/// Asks every source for its counts, side by side.
async fn ask(
    configured: &[&SourceConfig],
    cancel: &CancellationToken,
) -> BTreeMap<String, Result<Vec<Counted>, String>> {
    let mut counts = BTreeMap::new();
    let mut asked = JoinSet::new();
    for (built, source) in build_sources(configured, HashMap::new(), cancel).into_iter().zip(configured) {
        let name = source.name.clone();
        match built {
            Ok(built) => {
                // A question that ends without a word is no answer.
                counts.insert(name.clone(), Err("the question ended badly; ask again".to_owned()));
                asked.spawn(async move {
                    let provider = &built.provider;
                    let counted = provider.count().await.map_err(|error| match provider.advice(&error) {
                        Some(advice) => format!("{error}; {advice}"),
                        None => error.to_string(),
                    });
                    (name, counted)
                });
            }
            Err(error) => {
                counts.insert(name, Err(error.problem));
            }
        }
    }
    while let Some(joined) = asked.join_next().await {
        if let Ok((name, counted)) = joined {
            counts.insert(name, counted);
        }
    }
    counts
}
