//! Progress of long work: a bar per source on a terminal, one line per source and interval elsewhere.

use std::collections::VecDeque;
use std::io::{IsTerminal as _, Write};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::output;
use crate::sync::{Moment, Progress};

/// How often bars are drawn anew.
const DRAW: Duration = Duration::from_millis(200);
/// How often a source is logged where there is no terminal.
const LOG: Duration = Duration::from_secs(10);
/// What a rate is an average of.
const RATE_OVER: Duration = Duration::from_secs(5);
/// Width of the part of a line that says what is read.
const DOING_CHARS: usize = 18;
const BAR_CHARS: u64 = 10;

/// Every bar of this process: there is one terminal, and who writes on it has to know all that is drawn there.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Shows the progress of passes until it is finished.
#[derive(Default)]
pub(super) struct Display {
    running: Mutex<Option<(CancellationToken, JoinHandle<()>)>>,
}

impl Display {
    /// Begins to show these sources. To be called inside the runtime, once.
    pub(super) fn watch(&self, sources: Vec<Arc<Progress>>) {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let showing = tokio::spawn(async move {
            if std::io::stderr().is_terminal() { draw(sources, stopped).await } else { log(sources, stopped).await }
        });
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some((stop, showing));
    }

    /// Takes the bars away.
    pub(super) async fn finish(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((stop, showing)) = running {
            stop.cancel();
            drop(showing.await);
        }
    }
}

/// A bar of one's own among the others, for work that only takes its time.
pub(super) fn spinner(message: String) -> ProgressBar {
    let bar = BARS.add(ProgressBar::new_spinner());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
        bar.set_style(style);
    }
    bar.set_message(message);
    bar.enable_steady_tick(DRAW);
    bar
}

/// Stderr for logs: on a terminal lines appear above the bars instead of in the middle of them.
pub(super) fn stderr() -> Stderr {
    Stderr
}

/// See [`stderr`].
pub(super) struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if std::io::stderr().is_terminal() {
            BARS.println(String::from_utf8_lossy(bytes).trim_end_matches('\n'))?;
            return Ok(bytes.len());
        }
        std::io::stderr().lock().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().lock().flush()
    }
}

/// Comes round at once and then again and again, until it is told to stop.
async fn every(period: Duration, stop: &CancellationToken, mut act: impl FnMut()) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = ticks.tick() => act(),
        }
    }
}

async fn draw(sources: Vec<Arc<Progress>>, stop: CancellationToken) {
    let width = sources.iter().map(|source| source.source.chars().count()).max().unwrap_or(0);
    let style = ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    let mut shown: Vec<(Arc<Progress>, ProgressBar, Rate)> = sources
        .into_iter()
        .map(|source| {
            let bar = BARS.add(ProgressBar::new_spinner().with_style(style.clone()));
            (source, bar, Rate::default())
        })
        .collect();
    let begun = Instant::now();
    every(DRAW, &stop, || {
        for (source, bar, rate) in &mut shown {
            let moment = source.moment();
            let per_second = rate.add(begun.elapsed(), moment.messages);
            bar.set_message(line(&source.source, width, &moment, per_second));
        }
    })
    .await;
    for (_, bar, _) in &shown {
        bar.finish_and_clear();
        BARS.remove(bar);
    }
}

async fn log(sources: Vec<Arc<Progress>>, stop: CancellationToken) {
    let mut begun = false;
    every(LOG, &stop, || {
        // The first tick comes at once, when there is nothing to tell.
        if !std::mem::replace(&mut begun, true) {
            return;
        }
        for source in &sources {
            let moment = source.moment();
            tracing::info!(
                source = %source.source,
                doing = doing(&moment),
                messages = moment.messages,
                conversations = moment.conversations,
                fetched = moment.fetched,
                to_fetch = moment.to_fetch,
                requests = moment.requests,
                wait.left_s = moment.waiting.map_or(0, whole_seconds),
                "reading"
            );
        }
    })
    .await;
}

/// Messages per second, over the last few seconds.
#[derive(Default)]
struct Rate(VecDeque<(Duration, u64)>);

impl Rate {
    /// Adds how many there are at a time since the start, and gives the rate.
    fn add(&mut self, at: Duration, total: u64) -> u64 {
        self.0.push_back((at, total));
        while self.0.len() > 2 && self.0.front().is_some_and(|(oldest, _)| *oldest + RATE_OVER < at) {
            self.0.pop_front();
        }
        let Some((since, before)) = self.0.front() else { return 0 };
        let took = u64::try_from(at.saturating_sub(*since).as_millis()).unwrap_or(u64::MAX);
        (total.saturating_sub(*before)).saturating_mul(1000).checked_div(took).unwrap_or(0)
    }
}

/// The one line that a source has on a terminal.
fn line(name: &str, width: usize, moment: &Moment, per_second: u64) -> String {
    let doing: String = match moment.waiting {
        Some(left) => format!("told to wait {} s", whole_seconds(left)),
        None => doing(moment),
    };
    let doing: String = doing.chars().take(DOING_CHARS).collect();
    // What matters most stands first: a narrow terminal cuts the end off.
    let position =
        if moment.to_fetch > 0 { format!("{}  ", bar(moment.fetched, moment.to_fetch)) } else { String::new() };
    format!(
        "{name:width$}  {doing:DOING_CHARS$}  {position}{} messages, {per_second}/s, {} conversations, {} requests",
        moment.messages, moment.conversations, moment.requests
    )
}

fn doing(moment: &Moment) -> String {
    if moment.doing.is_empty() { "starting".to_owned() } else { output::tame_line(&moment.doing) }
}

fn bar(done: u64, of: u64) -> String {
    let filled = done.min(of).saturating_mul(BAR_CHARS).checked_div(of).unwrap_or(0);
    let marks = |count: u64, mark: &str| mark.repeat(usize::try_from(count).unwrap_or(0));
    format!("[{}{}] {done}/{of}", marks(filled, "#"), marks(BAR_CHARS - filled, "."))
}

/// Seconds, begun ones counted: a countdown that shows 0 has nothing left.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_what_is_read_how_far_and_how_fast() {
        let mut moment = Moment { messages: 1200, conversations: 120, requests: 34, ..Moment::default() };
        assert_eq!(
            line("bots", 9, &moment, 0),
            "bots       starting            1200 messages, 0/s, 120 conversations, 34 requests"
        );
        moment.doing = "conversations".to_owned();
        (moment.fetched, moment.to_fetch) = (30, 120);
        assert_eq!(
            line("directory", 9, &moment, 85),
            "directory  conversations       [##........] 30/120  1200 messages, 85/s, 120 conversations, 34 requests"
        );
        moment.waiting = Some(Duration::from_millis(41_200));
        assert!(line("directory", 9, &moment, 0).starts_with("directory  told to wait 42 s   [##"));
        moment.waiting = None;
        moment.doing = "threads of \u{1b}[31m and a name without an end".to_owned();
        assert!(line("a", 1, &moment, 0).starts_with("a  threads of \u{fffd}[31m a  ["));
    }

    #[test]
    fn a_bar_never_leaves_its_frame() {
        assert_eq!(bar(0, 10), "[..........] 0/10");
        assert_eq!(bar(10, 10), "[##########] 10/10");
        assert_eq!(bar(u64::MAX, 3), format!("[##########] {}/3", u64::MAX));
        assert_eq!(bar(1, 0), "[..........] 1/0");
    }

    #[test]
    fn a_rate_is_of_the_last_seconds_only() {
        let mut rate = Rate::default();
        let at = |seconds: u64, rate: &mut Rate, total| rate.add(Duration::from_secs(seconds), total);
        assert_eq!(at(0, &mut rate, 0), 0);
        assert_eq!(at(2, &mut rate, 100), 50);
        assert_eq!(at(4, &mut rate, 100), 25);
        assert_eq!(at(8, &mut rate, 100), 0);
        assert_eq!(at(9, &mut rate, 110), 2);
    }

    #[tokio::test]
    async fn a_display_that_watches_nothing_ends_at_once() {
        let display = Display::default();
        display.finish().await;
        display.watch(Vec::new());
        display.finish().await;
    }
}
