//! `chatloom explain`.

use super::Exit;
use super::output::{self, tame_line};
use super::table::moment;
use crate::config::Config;
use crate::store::{Explanation, Metric, TranscriptError, explain, find_conversation, open_reader};

/// Options of `explain`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which number: a column of the view `v_conversations`
    #[arg(value_name = "METRIC", value_parser = metric)]
    metric: Metric,
    /// The provider's id of the conversation, or its row id in the store
    #[arg(value_name = "CONVERSATION")]
    conversation: String,
    /// Print it as one JSON document
    #[arg(long)]
    json: bool,
}

const METRICS: [Metric; 7] = [
    Metric::FirstResponse,
    Metric::FirstBotResponse,
    Metric::FirstAgentResponse,
    Metric::Contained,
    Metric::Escalated,
    Metric::Answered,
    Metric::Reopened,
];

fn metric(text: &str) -> Result<Metric, String> {
    let is_meant = |metric: &&Metric| [metric.column(), metric.column().trim_end_matches("_seconds")].contains(&text);
    METRICS.iter().find(is_meant).copied().ok_or_else(|| {
        let names: Vec<&str> = METRICS.iter().map(|metric| metric.column()).collect();
        format!("none of {}", names.join(", "))
    })
}

/// Prints which messages make a number.
pub(super) fn run(args: &Args, config: &Config) -> Exit {
    let read = || -> Result<Option<Explanation>, TranscriptError> {
        let store = open_reader(&config.store_path)?;
        let conversation = find_conversation(&store, &args.conversation)?;
        Ok(explain(&store, args.metric, conversation.id)?)
    };
    match read() {
        Ok(Some(told)) if args.json => output::print_json(&told),
        Ok(Some(told)) => output::print(&page(&told).join("\n")),
        Ok(None) => {
            output::complain("the conversation is deleted at its provider, so it is part of no metric");
            return Exit::Failed;
        }
        Err(error) => {
            output::complain(&tame_line(&error.to_string()));
            return Exit::Failed;
        }
    }
    Exit::Fine
}

fn page(told: &Explanation) -> Vec<String> {
    let value = told.value.map_or_else(|| "NULL (not applicable, or not known)".to_owned(), |value| value.to_string());
    let mut lines = vec![
        format!("{} = {value}", told.metric),
        format!("  means    {}", told.meaning),
        format!("  because  {}", told.because),
    ];
    for message in &told.messages {
        let at = message.sent_at.as_deref().map_or_else(|| "(time unknown)".to_owned(), moment);
        let text: String = tame_line(&message.body_text).chars().take(60).collect();
        let id = tame_line(&message.message_external_id);
        lines.push(format!("  {:20} {at}  {:7}  {id}  {text}", message.role, message.author_kind));
    }
    lines
}
