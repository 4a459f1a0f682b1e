//! How the daemon finds its sources: one line and one step of a meter for every change of state, none for a pass that
//! went like the one before.

use super::Subject;
use super::meters::{METERS, STATES};

/// How a source fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceState {
    Well,
    /// Read, but for some parts.
    Partly,
    Failing,
    /// Not asked any more before somebody acts.
    Stopped,
}

impl SourceState {
    fn label(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Partly => "partly",
            Self::Failing => "failing",
            Self::Stopped => "stopped",
        }
    }
}

/// What is known of a change.
#[derive(Debug, Clone, Copy, Default)]
pub struct Change<'a> {
    /// The run that showed it.
    pub run: Option<i64>,
    pub stream: Option<&'a str>,
    pub error: Option<&'a str>,
    /// The source was never found in another state.
    pub first: bool,
}

/// A source is not any more as it was.
pub fn source_changed(subject: &Subject, state: SourceState, change: &Change<'_>) {
    is_now(subject, state);
    let (source, Change { run, stream, error, first }) = (&*subject.source, *change);
    match state {
        SourceState::Well if first => tracing::info!(source, run, event = "source_well", "the source was read"),
        SourceState::Well => tracing::info!(source, run, event = "source_recovered", "the source has recovered"),
        SourceState::Partly => {
            tracing::warn!(source, stream, run, event = "source_partly", error, "the source was read in part");
        }
        SourceState::Failing => tracing::warn!(
            source,
            stream,
            run,
            event = "source_failing",
            error,
            "the source fails; it is tried again, ever more seldom"
        ),
        SourceState::Stopped => tracing::error!(
            source,
            run,
            event = "source_stopped",
            error,
            "the source is stopped until its key or the configuration changes"
        ),
    }
}

fn is_now(subject: &Subject, state: SourceState) {
    for label in STATES {
        let labels = subject.labels_and([("state", label)]);
        METERS.states.get_or_create(&labels).set(i64::from(label == state.label()));
    }
}

/// What reads a source has ended by itself, `falls` times in a row now; it is started anew after the pause. Only the
/// first time is loud.
pub fn worker_fell(subject: &Subject, falls: u32, pause_ms: i64) {
    is_now(subject, SourceState::Failing);
    let source = &*subject.source;
    if falls <= 1 {
        tracing::error!(
            source,
            event = "worker_fell",
            retry.after_ms = pause_ms,
            "what reads this source has ended by itself, which is a mistake in chatloom; it is started anew"
        );
    } else {
        tracing::debug!(source, event = "worker_fell", retry.after_ms = pause_ms, falls, "it has ended once more");
    }
}

/// What read a source under old settings would not end and was cut off; what it was about to store is read again.
pub fn worker_cut_off(subject: &Subject) {
    tracing::warn!(
        source = &*subject.source,
        event = "worker_cut_off",
        "the pass under the old settings did not end in time and was cut off; what it had not stored is read again"
    );
}

/// A source is not read any more: its state is nobody's.
pub fn source_ended(subject: &Subject) {
    for label in STATES {
        METERS.states.remove(&subject.labels_and([("state", label)]));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Standing, render};
    use super::*;

    #[test]
    fn a_source_is_in_one_state_at_a_time() {
        let subject = Subject::new("sources-test", "zaia");
        let line = |state: &str, value: u8| {
            format!("chatloom_source_state{{source=\"sources-test\",provider=\"zaia\",state=\"{state}\"}} {value}\n")
        };
        source_changed(&subject, SourceState::Failing, &Change::default());
        source_changed(&subject, SourceState::Well, &Change::default());
        let text = render(&Standing::default());
        assert!(text.contains(&line("well", 1)) && text.contains(&line("failing", 0)), "{text}");
        source_ended(&subject);
        assert!(!render(&Standing::default()).contains("chatloom_source_state{source=\"sources-test\""));
    }
}
