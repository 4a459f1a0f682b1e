//! A long day in two minutes: three providers, everything that goes wrong with them, signals, new configurations, a
//! network that breaks, and visitors who write all the time. At the end every message is there, nothing has grown, and
//! the process ends as it should.
//!
//! `CHATLOOM_SOAK_SECS` makes it longer, `CHATLOOM_SOAK_SEED` another one. `-- --nocapture` prints the figures.

use std::time::{Duration, Instant};

use chatloom::sim::bd::BdData;
use chatloom::sim::sitegpt::SitegptData;
use chatloom::sim::zaia::ZaiaData;
use chatloom::sim::{BdSim, Fault, Rng, Sim, Site, SitegptSim, Truth, ZaiaSim};

use super::rig::{Daemon, until};
use super::soak_network::Network;
use crate::harness::{Home, assert_same, copy_of, now_ms, source, wanted};

/// How much faster than the world the daemon's schedules run: a day is 24 minutes.
const SPEED: &str = "speed=60";

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var_os(name).and_then(|text| text.to_str()?.parse().ok()).unwrap_or(usual)
}

/// What goes wrong, one at a time.
fn misfortune(rng: &mut Rng) -> Fault {
    match rng.between(0, 9) {
        0 => Fault::retry_after(429, 1),
        1 => Fault::retry_after(503, 1),
        2 => Fault::status(500),
        3 => Fault::status(502),
        4 => Fault::Truncated,
        5 => Fault::Html200,
        6 => Fault::Garbage,
        7 => Fault::CloseConnection,
        8 => Fault::CutBody,
        _ => Fault::Delay(rng.between(100, 2_500).unsigned_abs()),
    }
}

fn trouble<D: Site>(sim: &Sim<D>, rng: &mut Rng) {
    let mut world = sim.world();
    if world.faults_left() < 5 {
        world.fault("/", misfortune(rng));
    }
}

/// What a process holds: kibibytes of memory, and open files.
fn holds(process: u32) -> (u64, usize) {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let memory = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    (memory, std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().count())
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values[values.len() / 2]
}

struct Street {
    bd: BdSim,
    zaia: ZaiaSim,
    sitegpt: SitegptSim,
    networks: [Network; 3],
    /// A member of the directory, the workspace's channel and agent, a chatbot.
    owner: String,
    channel: String,
    agent: String,
    chatbot: String,
}

impl Street {
    async fn open() -> Self {
        let (mut site, mut workspace, mut bots) = (BdData::new(), ZaiaData::new(), SitegptData::new());
        let owner = site.add_user("Ada", "Quill");
        let channel = workspace.add_channel("widget", "Website");
        let agent = workspace.add_agent("Support agent");
        let chatbot = bots.add_chatbot("Shop");
        let bd = BdSim::start(site).await.unwrap();
        let zaia = ZaiaSim::start(workspace).await.unwrap();
        let sitegpt = SitegptSim::start(bots).await.unwrap();
        let networks =
            [Network::to(bd.addr()).await, Network::to(zaia.addr()).await, Network::to(sitegpt.addr()).await];
        let street = Self { bd, zaia, sitegpt, networks, owner, channel, agent, chatbot };
        let mut rng = Rng::new(7);
        for number in 0..60 {
            street.visit(&mut rng, &format!("before the start {number}"), true);
        }
        street
    }

    /// One source's polls vary, so that reloads restart it and leave the others.
    fn config(&self, polls: &str) -> String {
        let more = |poll: &str| format!("poll = \"{poll}\"\nsweep = \"30m\"\ntimeout = \"2s\"\n");
        let urls: Vec<String> = self.networks.iter().map(Network::base_url).collect();
        format!(
            "{}{}{}{}",
            source("bd", "brilliant_directories", &urls[0], "bd-key", &more("1m")),
            source("zaia", "zaia", &urls[1], "zaia-key", &more(polls)),
            source("v0", "sitegpt", &urls[2], "sitegpt-key", &format!("api = \"v0\"\n{}", more("2m"))),
            source("v2", "sitegpt", &urls[2], "sgpt_test", &format!("api = \"v2\"\n{}", more("1m")))
        )
    }

    /// Somebody writes at each of the three, in a conversation that is there or in a new one.
    fn visit(&self, rng: &mut Rng, text: &str, new: bool) {
        let now = now_ms();
        let data = &mut self.bd.world().data;
        let thread = match rng.pick(&data.threads).map(|thread| thread.token.clone()) {
            Some(thread) if !new => thread,
            _ => data.add_thread(&self.owner, &self.owner, now),
        };
        data.add_message(&thread, &self.owner, now, text);
        let data = &mut self.zaia.world().data;
        let chat = match rng.pick(&data.chats).map(|chat| (chat.id.clone(), chat.owner.clone())) {
            Some(chat) if !new => chat,
            _ => {
                let visitor = data.add_external_user(&self.channel, Some("visitor@example.test"), None);
                (data.add_chat(Some(&self.channel), &visitor, &self.agent, now), visitor)
            }
        };
        data.add_message(&chat.0, "user", Some(&chat.1), now, text);
        let data = &mut self.sitegpt.world().data;
        let thread = match rng.pick(&data.threads).map(|thread| thread.id.clone()) {
            Some(thread) if !new => thread,
            _ => data.add_thread(&self.chatbot, now),
        };
        data.add_normal(&thread, (text, now), ("answered", now));
    }

    fn truths(&self) -> [(&'static str, Truth); 4] {
        let bots = self.sitegpt.world().data.truth();
        [
            ("bd", self.bd.world().data.truth()),
            ("zaia", self.zaia.world().data.truth()),
            ("v0", bots.clone()),
            ("v2", bots),
        ]
    }

    fn requests(&self) -> usize {
        self.bd.world().requests() + self.zaia.world().requests() + self.sitegpt.world().requests()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_long_day() {
    crate::faults::play("Z10", async {
    let (seconds, seed) = (setting("CHATLOOM_SOAK_SECS", 75), setting("CHATLOOM_SOAK_SEED", 1));
    let mut rng = Rng::new(seed);
    let street = Street::open().await;
    let home = Home::new(&street.config("1m"));
    let daemon = Daemon::start_faulty(&home, SPEED);
    let process = daemon.child.id();
    let (begin, length) = (Instant::now(), Duration::from_secs(seconds));
    let (mut step, mut faults, mut reloads, mut torn) = (0_u64, 0, 0, 0);
    let mut mending: Option<(usize, Instant)> = None;
    let mut held: Vec<(Duration, u64, usize)> = Vec::new();
    // A step every tenth of a second.
    until("the day to end", length * 2, || {
        let now = begin.elapsed();
        if now.as_millis() < u128::from(step) * 100 {
            return now >= length;
        }
        step += 1;
        street.visit(&mut rng, &format!("said in step {step}"), step % 9 == 0);
        if rng.chance(25) {
            faults += 1;
            match rng.between(0, 2) {
                0 => trouble(&street.bd, &mut rng),
                1 => trouble(&street.zaia, &mut rng),
                _ => trouble(&street.sitegpt, &mut rng),
            }
        }
        match mending {
            Some((at, until)) if Instant::now() >= until => {
                street.networks[at].mend();
                mending = None;
            }
            None if step % 120 == 60 => {
                torn += 1;
                let at = usize::try_from(rng.between(0, 2)).unwrap();
                street.networks[at].tear();
                mending = Some((at, Instant::now() + Duration::from_millis(rng.between(300, 3_000).unsigned_abs())));
            }
            _ => {}
        }
        if step % 70 == 35 {
            reloads += 1;
            match reloads % 3 {
                0 => home.configure(&street.config("1m")),
                1 => home.configure(&street.config("2m")),
                _ => home.configure("[store]\npaht = \"oops.db\"\n"),
            }
            daemon.signal("-HUP");
        }
        if step % 5 == 0 {
            let (memory, files) = holds(process);
            held.push((now, memory, files));
        }
        now >= length
    });
    street.networks.iter().for_each(Network::mend);
    let rested = Instant::now();
    until("every message", Duration::from_secs(90), || {
        street.truths().iter().all(|(source, truth)| {
            let (held, wanted) = (copy_of(&home, source), wanted(truth));
            held.len() == wanted.len() && held == wanted
        })
    });
    let caught_up = rested.elapsed();
    for (source, truth) in street.truths() {
        assert_same(&copy_of(&home, source), &wanted(&truth));
    }

    // The first third is for reaching cruising height: pools, caches, the first passes.
    let third =
        |from: u32, to: u32| held.iter().filter(move |(at, ..)| *at >= length * from / 3 && *at < length * to / 3);
    let memory = |from, to| median(third(from, to).map(|(_, memory, _)| *memory).collect());
    let files = |from, to| third(from, to).map(|(.., files)| *files).max().unwrap();
    let cut: u64 = street.networks.iter().map(|network| network.cut.load(std::sync::atomic::Ordering::Relaxed)).sum();
    let runs = home.rows("SELECT mode || ' ' || status || ': ' || count(*) FROM sync_runs GROUP BY mode, status");
    println!(
        "seed {seed}, {seconds} s: {} messages, {} requests, {faults} faults, {reloads} reloads, {torn} times no network \
         ({cut} connections cut); caught up in {caught_up:?}",
        home.number("SELECT count(*) FROM messages"),
        street.requests()
    );
    println!("runs: {runs:?}");
    println!(
        "memory (median kB of each third): {}, {}, {}; files (most): {}, {}, {}",
        memory(0, 1),
        memory(1, 2),
        memory(2, 3),
        files(0, 1),
        files(1, 2),
        files(2, 3)
    );
    let log = daemon.end();
    assert!(memory(2, 3) <= memory(1, 2) * 11 / 10 + 2_048, "memory grows: {held:?}");
    assert!(files(2, 3) <= files(1, 2) + 8, "files are not closed: {held:?}");
    assert!(runs.iter().any(|runs| runs.starts_with("sweep ok")), "{runs:?}");
    assert!(log.contains("zaia restarted") && log.contains("the old one stays"), "{log}");
    assert!(!log.contains("mistake in chatloom") && !log.contains("panicked"), "{log}");
    assert!(log.lines().last().unwrap().contains("ended"), "{log}");
    assert_eq!(home.rows("PRAGMA integrity_check"), ["ok"]);
    assert_eq!(home.number("SELECT count(*) FROM sync_runs WHERE status = 'running'"), 0);
    assert_eq!(home.number("SELECT count(*) FROM dead_letters WHERE resolved_at_ms IS NULL"), 0);
    })
    .await;
}
