//! A running daemon, what it logs, and what it tells the service manager.

use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::harness::Home;

/// Looks again and again until something is so; fails when it is not so in time.
#[track_caller]
pub(crate) fn until(what: &str, within: Duration, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + within;
    while !is_so() {
        assert!(Instant::now() < end, "not within {within:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) const SOON: Duration = Duration::from_secs(30);

/// What is gathered by a thread of its own.
type Lines = Arc<Mutex<Vec<String>>>;

/// A socket that hears what the daemon tells the service manager.
pub(crate) struct Manager {
    path: std::path::PathBuf,
    heard: Lines,
}

impl Manager {
    pub(crate) fn new(home: &Home) -> Self {
        let path = home.folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let heard = Lines::default();
        let (hearing, words) = (Arc::clone(&heard), Arc::downgrade(&heard));
        drop(hearing);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = socket.recv(&mut buffer) {
                let Some(heard) = words.upgrade() else { return };
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                heard.lock().unwrap().extend(text.lines().map(str::to_owned));
            }
        });
        Self { path, heard }
    }

    /// Everything that was said so far, line by line.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// How often something was said.
    pub(crate) fn count(&self, word: &str) -> usize {
        self.heard.lock().unwrap().iter().filter(|line| line.as_str() == word).count()
    }

    /// Waits until something was said so often.
    #[track_caller]
    pub(crate) fn wait_for(&self, word: &str, times: usize) {
        until(&format!("{word}, {times} times in {:?}", self.heard()), SOON, || self.count(word) >= times);
    }
}

/// A running daemon.
pub(crate) struct Daemon {
    pub(crate) child: Child,
    log: Lines,
}

impl Daemon {
    /// Starts `chatloom run` and waits until its store is open.
    pub(crate) fn start(home: &Home) -> Self {
        Self::start_with(home, |_| {})
    }

    /// The same with faults.
    pub(crate) fn start_faulty(home: &Home, faults: &str) -> Self {
        Self::start_with(home, |command| {
            command.env("CHATLOOM_FAULTS", faults);
        })
    }

    /// The same under a service manager that wants to hear of it every so often.
    pub(crate) fn start_managed(home: &Home, manager: &Manager, watchdog: Duration, faults: &str) -> Self {
        Self::start_with(home, |command| {
            command.env("NOTIFY_SOCKET", &manager.path).env("WATCHDOG_USEC", watchdog.as_micros().to_string());
            command.env("CHATLOOM_FAULTS", faults);
        })
    }

    pub(crate) fn start_with(home: &Home, set: impl FnOnce(&mut Command)) -> Self {
        let mut command = home.command(&["run"], "chatloom=info");
        set(&mut command);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Lines::default();
        let (stderr, gathering) = (child.stderr.take().unwrap(), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                gathering.lock().unwrap().push(line);
            }
        });
        let daemon = Self { child, log };
        daemon.wait_for("running");
        daemon
    }

    /// Everything that was logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// How many lines have this in them.
    pub(crate) fn lines(&self, words: &str) -> usize {
        self.log.lock().unwrap().iter().filter(|line| line.contains(words)).count()
    }

    /// Waits until something was logged.
    #[track_caller]
    pub(crate) fn wait_for(&self, words: &str) {
        self.wait_for_lines(words, 1);
    }

    #[track_caller]
    pub(crate) fn wait_for_lines(&self, words: &str, times: usize) {
        let end = Instant::now() + SOON;
        while self.lines(words) < times {
            assert!(Instant::now() < end, "`{words}` was not logged {times} times:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends a signal (`-TERM`).
    pub(crate) fn signal(&self, signal: &str) {
        send(self.child.id(), signal);
    }

    /// Waits for the end; the exit code, and how long it took.
    #[track_caller]
    pub(crate) fn wait(mut self) -> (Option<i32>, Duration, String) {
        let begin = Instant::now();
        let mut status = None;
        until("the end of the daemon", SOON, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        (status.unwrap().code(), begin.elapsed(), self.log())
    }

    /// Ends it with SIGTERM and insists that it ends well and in time.
    #[track_caller]
    pub(crate) fn end(self) -> String {
        self.signal("-TERM");
        let (code, took, log) = self.wait();
        assert_eq!(code, Some(0), "{log}");
        assert!(took < Duration::from_secs(10), "it took {took:?}:\n{log}");
        log
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Only a test that failed leaves one running.
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
        crate::traces::assert_keyless("the daemon's log", self.log().as_bytes());
    }
}

/// Sends a process a signal.
pub(crate) fn send(process: u32, signal: &str) {
    assert!(Command::new("kill").args([signal, &process.to_string()]).status().unwrap().success());
}
