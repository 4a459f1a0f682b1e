//! Telling the service manager how things stand: `sd_notify` over the socket that `NOTIFY_SOCKET` names.
//!
//! A thread of its own does the sending: a manager that does not listen must not hold up anybody. Without a socket, or
//! with one that does not work, nothing is said and nothing else changes.

use std::ffi::{OsStr, OsString};
#[cfg(target_os = "linux")]
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use sd_notify::NotifyState;

/// Words that may wait for the manager. What does not fit is not said: the next word tells more.
const WAITING: usize = 64;
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest line of status. Managers show one line.
const LONGEST_STATUS: usize = 300;

enum Word {
    Say(String),
    /// Answered when everything before it was said.
    Flush(SyncSender<()>),
}

/// Speaks to the service manager, if there is one.
#[derive(Debug, Clone, Default)]
pub(super) struct Notifier {
    words: Option<SyncSender<Word>>,
}

impl Notifier {
    /// A notifier for the socket of this name: a path, or an abstract name that begins with `@`.
    pub(super) fn new(socket: Option<OsString>) -> Self {
        let Some(name) = socket else { return Self::default() };
        let (sender, words) = sync_channel(WAITING);
        let thread = std::thread::Builder::new().name("notify".to_owned()).spawn(move || speak(&name, &words));
        match thread {
            Ok(_) => Self { words: Some(sender) },
            Err(error) => {
                tracing::debug!(%error, "the service manager is told nothing");
                Self::default()
            }
        }
    }

    pub(super) fn ready(&self) {
        self.say(&[NotifyState::Ready]);
    }

    /// A reload has begun; [`Notifier::ready`] ends it.
    pub(super) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.say(&[NotifyState::Reloading, now]),
            Err(_) => self.say(&[NotifyState::Reloading]),
        }
    }

    pub(super) fn alive(&self) {
        self.say(&[NotifyState::Watchdog]);
    }

    /// What the process is doing, on one line.
    pub(super) fn status(&self, text: &str) {
        let line: String = text.chars().filter(|c| !c.is_control()).take(LONGEST_STATUS).collect();
        self.say(&[NotifyState::Status(&line)]);
    }

    pub(super) fn stopping(&self) {
        self.say(&[NotifyState::Stopping]);
    }

    /// Waits, not for ever, until everything was said.
    pub(super) async fn flush(&self) {
        let Some(words) = self.words.clone() else { return };
        let (answer, said) = sync_channel(1);
        let flushed = tokio::task::spawn_blocking(move || {
            if words.try_send(Word::Flush(answer)).is_ok() {
                // A manager that does not listen is not waited for.
                said.recv_timeout(PATIENCE).unwrap_or_default();
            }
        });
        drop(flushed.await);
    }

    fn say(&self, states: &[NotifyState<'_>]) {
        let Some(words) = &self.words else { return };
        let text: String = states.iter().map(|state| format!("{state}\n")).collect();
        if let Err(TrySendError::Full(_)) = words.try_send(Word::Say(text)) {
            tracing::debug!("the service manager does not listen");
        }
    }
}

/// How often the manager wants to hear that we are alive, if it does.
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|period| !period.is_zero())
}

fn speak(name: &OsStr, words: &Receiver<Word>) {
    let socket = connect(name);
    if let Err(error) = &socket {
        tracing::warn!(%error, "NOTIFY_SOCKET does not work; the service manager is told nothing");
    }
    while let Ok(word) = words.recv() {
        match (word, &socket) {
            (Word::Say(text), Ok(socket)) => {
                if let Err(error) = socket.send(text.as_bytes()) {
                    tracing::debug!(%error, "the service manager was not told");
                }
            }
            (Word::Say(_), Err(_)) => {}
            (Word::Flush(answer), _) => drop(answer.send(())),
        }
    }
}

fn connect(name: &OsStr) -> std::io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address(name)?)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

fn address(name: &OsStr) -> std::io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(hidden) = name.as_bytes().strip_prefix(b"@") {
        return <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(hidden);
    }
    SocketAddr::from_pathname(name)
}

#[cfg(test)]
mod tests {
    use std::os::linux::net::SocketAddrExt as _;

    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 1024];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[tokio::test]
    async fn words_arrive_at_a_path_and_at_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let hidden = format!("chatloom-test-{}", std::process::id());
        let at_path = UnixDatagram::bind(&path).unwrap();
        let at_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&hidden).unwrap()).unwrap();
        for (name, socket) in [(path.into_os_string(), at_path), (format!("@{hidden}").into(), at_name)] {
            let notifier = Notifier::new(Some(name));
            notifier.ready();
            notifier.status("two\nlines, and an escape \u{1b}[31m");
            notifier.reloading();
            notifier.flush().await;
            assert_eq!(heard(&socket), "READY=1\n");
            assert_eq!(heard(&socket), "STATUS=twolines, and an escape [31m\n");
            let reloading = heard(&socket);
            assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
        }
    }

    #[tokio::test]
    async fn nobody_who_listens_is_no_harm() {
        for name in [None, Some("/nowhere/at/all".into()), Some("@".into()), Some("".into())] {
            let notifier = Notifier::new(name);
            for _ in 0..1000 {
                notifier.alive();
            }
            notifier.flush().await;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deaf");
        let _deaf = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::new(Some(path.into_os_string()));
        for _ in 0..10_000 {
            notifier.alive();
        }
    }
}
