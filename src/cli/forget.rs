//! `chatloom forget`.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::output::{self, tame_line};
use super::{Exit, logging};
use crate::app::{clock, forget};
use crate::config::Config;
use crate::store::{Forget, Forgot, Person, StoreError, Who, holding};

/// Options of `forget`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("who").required(true).args(["id", "email", "phone"]))]
pub(super) struct Args {
    /// The source that --id belongs to
    #[arg(long, value_name = "NAME", requires = "id", conflicts_with_all = ["email", "phone"])]
    source: Option<String>,
    /// One participant, by the external id in the table `participants`
    #[arg(long, value_name = "EXTERNAL_ID", requires = "source")]
    id: Option<String>,
    /// Every participant of every source with this e-mail address
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// Every participant of every source with this phone number, with its country's code
    #[arg(long, value_name = "NUMBER")]
    phone: Option<String>,
    /// Keep what they write from now on without text too
    #[arg(long)]
    suppress: bool,
    /// Remove the backups that still hold them
    #[arg(long)]
    backups: bool,
    /// Only say who and what would be erased
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Print the result as one JSON document
    #[arg(long)]
    json: bool,
}

/// The document of `forget --json`.
#[derive(Debug, Serialize)]
struct Report {
    dry_run: bool,
    #[serde(flatten)]
    forgot: Forgot,
    /// Backups that still hold them.
    backups: Vec<PathBuf>,
    backups_removed: Vec<PathBuf>,
}

impl Report {
    fn found_nobody(&self) -> bool {
        self.forgot.found_nothing()
    }
}

/// Erases a person, after asking.
pub(super) async fn run(args: Args, config: &Config) -> Exit {
    if !args.dry_run && !args.yes && !std::io::stdin().is_terminal() {
        output::complain(
            "there is no terminal to ask on: --dry-run says what would be erased, --yes erases without asking",
        );
        return Exit::Usage;
    }
    logging::start();
    match erase(&args, config).await {
        Ok(None) => {
            output::print("Nothing was erased.");
            Exit::Failed
        }
        Ok(Some(report)) => {
            if args.json {
                output::print_json(&report);
            } else {
                output::print(&told(&report).join("\n"));
            }
            let clean = report.dry_run || report.forgot.scrubbed;
            if report.found_nobody() || !clean { Exit::Failed } else { Exit::Fine }
        }
        Err(error) => {
            output::complain(&error.to_string());
            if matches!(error, StoreError::NoSuchSource { .. }) { Exit::Usage } else { Exit::Failed }
        }
    }
}

/// `None`: not confirmed.
async fn erase(args: &Args, config: &Config) -> Result<Option<Report>, StoreError> {
    let who = who(args);
    let asked = |dry_run| Forget { who: who.clone(), suppress: args.suppress, dry_run, now_ms: clock()() };
    if !args.yes {
        let report = report(forget(&config.store_path, asked(true)).await?, config, &who, true);
        if args.dry_run {
            return Ok(Some(report));
        }
        // Where nobody is found there is nothing to ask, and yet something to do: a run that died may have left bytes.
        let removes_backups = args.backups && !report.backups.is_empty();
        if removes_backups || !report.found_nobody() {
            output::ask(&format!("{}\n", told(&report).join("\n")));
            if !confirmed() {
                return Ok(None);
            }
        }
    }
    let forgot = forget(&config.store_path, asked(false)).await?;
    let mut report = report(forgot, config, &who, false);
    if args.backups {
        for path in std::mem::take(&mut report.backups) {
            match std::fs::remove_file(&path) {
                Ok(()) => report.backups_removed.push(path),
                Err(error) => {
                    output::complain(&format!("cannot remove {}: {error}", path.display()));
                    report.backups.push(path);
                }
            }
        }
    }
    Ok(Some(report))
}

fn who(args: &Args) -> Who {
    match (&args.source, &args.id, &args.email, &args.phone) {
        (Some(source), Some(id), ..) => Who::Id { source: source.clone(), external_id: id.clone() },
        (.., Some(email), _) => Who::Email(email.clone()),
        (.., phone) => Who::Phone(phone.clone().unwrap_or_default()),
    }
}

fn report(forgot: Forgot, config: &Config, who: &Who, dry_run: bool) -> Report {
    let beside = match config.store_path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let folders = [config.keeping.backup_path.as_path(), beside];
    let backups = holding(&config.store_path, &folders, who, &forgot.participants);
    Report { dry_run, forgot, backups, backups_removed: Vec::new() }
}

fn confirmed() -> bool {
    output::ask("Erase all this for good? Type yes: ");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).is_ok() && answer.trim().eq_ignore_ascii_case("yes")
}

fn told(report: &Report) -> Vec<String> {
    let forgot = &report.forgot;
    let mut lines = Vec::new();
    if report.found_nobody() {
        lines.push("Nobody like that is in the store.".to_owned());
        if forgot.scrubbed {
            lines.push("Somebody was forgotten before; the file was rewritten once more.".to_owned());
        }
    } else {
        let would = if report.dry_run { "Would erase" } else { "Erased" };
        lines.extend(forgot.participants.iter().map(|person| described(person, report.dry_run)));
        lines.push(format!(
            "{would}: {} conversations, {} messages, {} revisions, {} raw records, {} dead letters, {} other traces.",
            forgot.conversations,
            forgot.messages,
            forgot.revisions,
            forgot.raw_records,
            forgot.dead_letters,
            forgot.traces
        ));
        if forgot.mentions_elsewhere > 0 {
            lines.push(format!(
                "{} messages of others, in conversations of others, name them; those stay (docs/forget.md).",
                forgot.mentions_elsewhere
            ));
        }
    }
    if forgot.rewritten && !forgot.scrubbed {
        let bytes = "Bytes of whoever was forgotten may be left: another program is reading the store. End it and run this again.";
        lines.push(bytes.to_owned());
    } else if !report.dry_run && !report.found_nobody() {
        lines.push("The file was rewritten; no byte of it is left there.".to_owned());
    }
    lines.extend(report.backups_removed.iter().map(|path| format!("Removed {}.", path.display())));
    if !report.backups.is_empty() {
        lines.push("These backups still hold them; --backups removes them:".to_owned());
        lines.extend(report.backups.iter().map(|path| format!("  {}", path.display())));
    }
    lines
}

/// The operator must see whom they erase; afterwards nothing is repeated.
fn described(person: &Person, whole: bool) -> String {
    if !whole {
        return format!("{}: {}, forgotten", person.source, person.kind);
    }
    let known = [&person.name, &person.email, &person.phone];
    let known: Vec<String> = known.into_iter().flatten().map(|text| tame_line(text)).collect();
    let known = if known.is_empty() { "without a name".to_owned() } else { known.join(", ") };
    format!("{}: {} {} ({known})", person.source, person.kind, tame_line(&person.external_id))
}
