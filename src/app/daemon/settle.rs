//! Taking over what a configuration wants: workers are started, replaced and ended until there is one for every source.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::face::{Condition, Face};
use super::keeper::Keeper;
use super::plan::Plan;
use super::reload::{Files, Wish, needs_restart, wishes};
use super::slot::{Slot, pause};
use super::supervisor::Supervisor;
use super::timetable::{Timetable, spread};
use super::worker::Worker;
use crate::app::build::{client, speed};
use crate::app::watched;
use crate::telemetry::Subject;
use crate::telemetry::sources::source_ended;

/// A beat that comes so much too early still is the one that was waited for, in milliseconds.
const SLACK_MS: i64 = 400;

/// How long a configuration may take to be read. A key may lie on a disk that does not answer.
const READING_TIME: Duration = Duration::from_secs(5);

/// A configuration that could not be read, and when it is tried again.
#[derive(Debug)]
pub(super) struct Unread {
    tries: u32,
    again: Instant,
    told: String,
    /// Somebody asked for it: stopped sources are tried again whatever changed.
    asked: bool,
}

impl Supervisor {
    /// Reads the configuration again and takes it over, or keeps the old one and says why. `asked`: somebody wants it;
    /// otherwise only sources that are stopped take over what changed for them.
    pub(super) async fn read_again(&mut self, asked: bool) {
        // Looked at before, so that a change while they are read is noticed at the next beat.
        self.files.changed();
        let load = Arc::clone(&self.asked.load);
        let loading = tokio::time::timeout(READING_TIME, tokio::task::spawn_blocking(move || load()));
        let loaded = tokio::select! {
            () = self.asked.cancel.cancelled() => return,
            loaded = loading => loaded,
        };
        let read = match loaded {
            Ok(Ok(Ok(config))) => wishes(&config).map(|wanted| (config, wanted)),
            Ok(Ok(Err(problems))) => Err(one_line(&problems.to_string())),
            Ok(Err(_)) => Err("reading it ended badly".to_owned()),
            Err(_) => Err("it could not be read in time".to_owned()),
        };
        let (config, (wanted, maintain)) = match read {
            Ok(read) => read,
            Err(why) => return self.keeps_the_old_one(why, asked),
        };
        let even_unchanged = self.unread.take().is_some_and(|unread| unread.asked);
        self.files = Files::of_newer(&config, &self.files);
        let changes = if asked {
            // These stay as they were, so that they are told of again next time.
            for setting in needs_restart(&self.config, &config) {
                tracing::warn!(setting, "this change needs a restart; until then the old value holds");
            }
            self.board.watch(watched(&config));
            self.config.keeping = config.keeping;
            self.keep(&maintain);
            self.settle(wanted)
        } else {
            self.revive(wanted, even_unchanged)
        };
        if asked || !changes.is_empty() {
            let changes = if changes.is_empty() { "nothing changed".to_owned() } else { changes.join(", ") };
            tracing::info!(changes, "the configuration was read again");
        }
    }

    /// Says why, once, and tries again when a source that is stopped would have been read next: nothing else might
    /// bring it back.
    fn keeps_the_old_one(&mut self, why: String, asked: bool) {
        let before = self.unread.take();
        let (tries, told) = before.as_ref().map_or((0, ""), |unread| (unread.tries, unread.told.as_str()));
        if asked || told != why {
            tracing::error!(problems = why, "the new configuration cannot be used; the old one stays");
        } else {
            tracing::debug!(problems = why, "the new configuration still cannot be used");
        }
        let tries = tries.saturating_add(1);
        let polls = self.slots.iter().filter(|slot| slot.face.condition() == Condition::Stopped);
        let interval = polls.filter_map(|slot| slot.wish.poll.reach()).min();
        let again = Instant::now() + pause(tries, interval);
        let asked = asked || before.is_some_and(|unread| unread.asked);
        self.unread = Some(Unread { tries, again, told: why, asked });
    }

    /// Whether it is time for another try at a configuration that could not be read.
    pub(super) fn is_to_be_read_again(&self) -> bool {
        self.unread.as_ref().is_some_and(|unread| unread.again <= Instant::now())
    }

    /// Sees that the store is tidied up as the configuration says.
    pub(super) fn keep(&mut self, times: &Timetable) {
        let keeping = &self.config.keeping;
        if self.keeper.as_ref().is_some_and(|keeper| keeper.keeping == *keeping) {
            return;
        }
        self.leaving_keepers.extend(self.keeper.take().map(Keeper::cancel));
        let slack = SLACK_MS * i64::from(speed());
        let (store, clock) = (self.store.clone(), Arc::clone(&self.asked.clock));
        let cancel = self.asked.cancel.child_token();
        self.keeper = Some(Keeper::start(keeping, times, store, clock, slack, self.beats.clone(), cancel));
    }

    /// Restarts the stopped ones among the sources for which something changed, or all of the stopped ones.
    fn revive(&mut self, wanted: Vec<Wish>, even_unchanged: bool) -> Vec<String> {
        let mut changes = Vec::new();
        for wish in wanted {
            let changed =
                |slot: &Slot| slot.face.source == wish.config.name && (even_unchanged || !slot.wish.is_like(&wish));
            let stopped = |slot: &Slot| slot.face.condition() == Condition::Stopped;
            if let Some(at) = self.slots.iter().position(|slot| changed(slot) && stopped(slot)) {
                changes.push(self.restart(at, wish));
            }
        }
        changes
    }

    /// Replaces a worker.
    fn restart(&mut self, at: usize, wish: Wish) -> String {
        let mut slot = self.slots.swap_remove(at);
        slot.leave(Instant::now());
        let told = format!("{} restarted", slot.face.source);
        self.leaving.push(slot);
        if let Some(slot) = self.start(wish, 0, 0) {
            self.slots.push(slot);
        }
        told
    }

    /// Starts, restarts and ends workers until the wishes are met; says what was done. Stopped sources are tried
    /// again whatever changed.
    pub(super) fn settle(&mut self, wanted: Vec<Wish>) -> Vec<String> {
        let mut changes = Vec::new();
        self.leaving.retain(|slot| !slot.task.is_finished());
        self.leaving_keepers.retain(|task| !task.is_finished());
        for mut slot in std::mem::take(&mut self.slots) {
            if wanted.iter().any(|wish| wish.config.name == slot.wish.config.name) {
                self.slots.push(slot);
            } else {
                slot.leave(Instant::now());
                source_ended(&Subject::new(&slot.face.source, slot.wish.config.kind().as_str()));
                changes.push(format!("{} ended", slot.face.source));
                self.leaving.push(slot);
            }
        }
        let sources = wanted.len();
        for (place, wish) in wanted.into_iter().enumerate() {
            let name = wish.config.name.clone();
            let running = self.slots.iter().position(|slot| slot.face.source == name);
            let Some(at) = running else {
                let offset = spread(place, sources, &wish.config.poll);
                if let Some(slot) = self.start(wish, offset, 0) {
                    self.slots.push(slot);
                    changes.push(format!("{name} started"));
                }
                continue;
            };
            let stopped = self.slots[at].face.condition() == Condition::Stopped;
            if stopped || !self.slots[at].wish.is_like(&wish) {
                changes.push(self.restart(at, wish));
            }
        }
        self.pacers.forget_unused();
        changes
    }

    /// Sees to workers that ended by themselves and to those that will not end, and to the keeper.
    pub(super) fn mend(&mut self) {
        let (now, now_ms) = (Instant::now(), (self.asked.clock)());
        self.leaving.retain(|slot| !slot.task.is_finished());
        self.leaving.iter_mut().for_each(|slot| slot.hurry(now));
        for at in 0..self.slots.len() {
            if self.slots[at].is_to_be_mended(now, now_ms) {
                let (wish, falls) = (self.slots[at].wish.clone(), self.slots[at].falls);
                match self.start(wish, 0, falls) {
                    Some(slot) => self.slots[at] = slot,
                    None => self.slots[at].put_off(now),
                }
            }
        }
        let fallen = self.keeper.take_if(|keeper| keeper.task.is_finished() && !self.asked.cancel.is_cancelled());
        if let Some(keeper) = fallen {
            tracing::error!(
                event = "keeper_fell",
                "what tidies the store up has ended by itself, which is a mistake in chatloom; it is started anew"
            );
            self.keep(&keeper.times);
        }
    }

    /// Starts a worker, once all of its source before it have ended; `falls` of them in a row by themselves.
    fn start(&mut self, wish: Wish, offset_ms: i64, falls: u32) -> Option<Slot> {
        let cancel = self.asked.cancel.child_token();
        let http = match client(&wish.config, self.pacers.of(&wish.config, wish.rate), cancel.clone()) {
            Ok(http) => http,
            Err(error) => {
                tracing::error!(source = %wish.config.name, %error, "the source cannot be read");
                return None;
            }
        };
        let face = Face::new(wish.config.name.clone(), wish.config.timeout);
        let slack = SLACK_MS * i64::from(speed());
        let now = (self.asked.clock)();
        face.waits(now.saturating_add(offset_ms));
        if falls > 0 {
            face.set_condition(Condition::Failing);
        }
        let worker = Worker {
            http,
            store: self.store.clone(),
            clock: Arc::clone(&self.asked.clock),
            plan: Plan::new(wish.poll.clone(), wish.sweep.clone(), now, offset_ms, slack),
            face: Arc::clone(&face),
            turns: Arc::clone(&self.turns),
            failing_turns: Arc::clone(&self.failing_turns),
            words: self.words.clone(),
            cancel: cancel.clone(),
            config: wish.config.clone(),
            follows: falls > 0 || self.leaving.iter().any(|slot| slot.face.source == wish.config.name),
        };
        let beats = self.beats.clone();
        let same = |slot: &&Slot| slot.face.source == wish.config.name;
        let before: Vec<_> = self.leaving.iter().filter(same).map(|slot| slot.ended.clone()).collect();
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        let task = tokio::spawn(async move {
            let _guard = guard;
            for before in before {
                before.cancelled().await;
            }
            worker.run(beats).await;
        });
        Some(Slot::new(wish, face, cancel, ended, task, falls))
    }
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}
