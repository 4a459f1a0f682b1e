//! Problems: what is wrong with a configuration, where, and what to do about it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// One thing that is wrong. Never holds a key or token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file that says so; `None` when no file does.
    pub file: Option<PathBuf>,
    /// The environment variable that says so, where one did.
    pub variable: Option<String>,
    /// Where in the configuration (`sources[1].api_key_env`); empty for the file as a whole.
    pub key: String,
    /// The name of the source that `key` lies in.
    pub source: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub suggestion: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.variable, &self.file) {
            (Some(variable), _) => write!(f, "environment variable {variable}")?,
            (None, Some(file)) => write!(f, "{}", file.display())?,
            (None, None) => f.write_str("configuration")?,
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        if let Some(source) = &self.source {
            write!(f, " (source {source:?})")?;
        }
        write!(f, "\n  {}", self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "\n  help: {suggestion}"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with a configuration; never empty. Displays one block per problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// The problems, in the order of the file's sections.
    #[must_use]
    pub fn as_slice(&self) -> &[Problem] {
        &self.0
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// What is wrong with one value, before it is known where the value stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) message: String,
    pub(super) suggestion: Option<String>,
}

impl Complaint {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), suggestion: None }
    }

    pub(super) fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }
}

/// Gathers problems while a configuration is read.
pub(super) struct Findings {
    file: PathBuf,
    names: Vec<Option<String>>,
    variables: BTreeMap<String, String>,
    problems: Vec<Problem>,
}

impl Findings {
    pub(super) fn new(file: PathBuf) -> Self {
        Self { file, names: Vec::new(), variables: BTreeMap::new(), problems: Vec::new() }
    }

    /// Says how the sources are called, so that problems can name them.
    pub(super) fn name_sources(&mut self, names: Vec<Option<String>>) {
        self.names = names;
    }

    /// Remembers that a key's value comes from an environment variable.
    pub(super) fn overridden(&mut self, key: &str, variable: &str) {
        self.variables.insert(key.to_owned(), variable.to_owned());
    }

    /// Whether a key's value comes from an environment variable.
    pub(super) fn is_overridden(&self, key: &str) -> bool {
        self.variables.contains_key(key)
    }

    /// Whether a problem was already reported for exactly this key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.problems.iter().any(|problem| problem.key == key)
    }

    pub(super) fn add(&mut self, key: &str, complaint: Complaint) {
        let variable = self.variables.get(key).cloned();
        let source = source_index(key).and_then(|index| self.names.get(index).cloned().flatten());
        self.problems.push(Problem {
            file: if variable.is_some() { None } else { Some(self.file.clone()) },
            variable,
            key: key.to_owned(),
            source,
            message: complaint.message,
            suggestion: complaint.suggestion,
        });
    }

    /// A problem of a variable that stands for no key.
    pub(super) fn add_variable(&mut self, variable: &str, complaint: Complaint) {
        self.problems.push(Problem {
            file: None,
            variable: Some(variable.to_owned()),
            key: String::new(),
            source: None,
            message: complaint.message,
            suggestion: complaint.suggestion,
        });
    }

    /// Reports a key that is not there, unless what stands in its place (or around it) was already reported.
    pub(super) fn missing(&mut self, key: &str, complaint: Complaint) {
        let parent = key.rsplit_once('.').map_or("", |(parent, _)| parent);
        if !self.has(key) && !self.has(parent) {
            self.add(key, complaint);
        }
    }

    /// Takes the value out of a result, reporting what is wrong with it otherwise.
    pub(super) fn take<T>(&mut self, key: &str, result: Result<T, Complaint>) -> Option<T> {
        result.map_err(|complaint| self.add(key, complaint)).ok()
    }

    /// `Err` with all problems in the order of the sections, if there are any.
    pub(super) fn finish(mut self) -> Result<(), Problems> {
        if self.problems.is_empty() {
            return Ok(());
        }
        self.problems.sort_by_key(|problem| section(&problem.key));
        Err(Problems(self.problems))
    }
}

/// The position in `sources` that a key lies in.
fn source_index(key: &str) -> Option<usize> {
    key.strip_prefix("sources[")?.split_once(']')?.0.parse().ok()
}

fn section(key: &str) -> (u8, usize) {
    let rank = match key.split(['.', '[']).next() {
        Some("store") => 1,
        Some("http") => 2,
        Some("reporting") => 3,
        Some("log") => 4,
        Some("sources") => 5,
        _ => 0,
    };
    (rank, source_index(key).map_or(0, |index| index.saturating_add(1)))
}

/// A written value as a message may show it: quoted, escaped, and cut when long.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.chars().count() <= LONGEST {
        return format!("{text:?}");
    }
    let head: String = text.chars().take(LONGEST).collect();
    format!("{head:?}…")
}
