//! SIGINT and SIGTERM: the first asks the work to stop after the page in flight, the second ends at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::store::{StoreError, stop_waiting};

/// What was asked of the process from outside.
#[derive(Clone, Default)]
pub(super) struct Signals {
    pub(super) cancel: CancellationToken,
    number: Arc<AtomicU8>,
}

const SIGINT: u8 = 2;
const SIGTERM: u8 = 15;

impl Signals {
    /// Starts listening.
    pub(super) fn listen() -> Self {
        let signals = Self::default();
        let listening = signals.clone();
        tokio::spawn(async move {
            let (Ok(mut int), Ok(mut term)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else {
                return;
            };
            loop {
                let number = tokio::select! {
                    _ = int.recv() => SIGINT,
                    _ = term.recv() => SIGTERM,
                };
                if listening.number.swap(number, Ordering::SeqCst) != 0 {
                    // Whatever is in flight was either committed or will be rolled back by SQLite.
                    super::unread::flush();
                    std::process::exit(i32::from(128 + number));
                }
                stop_waiting();
                listening.cancel.cancel();
            }
        });
        signals
    }

    /// The signal by which whoever waited for another program's lock was told not to wait for it. Another error stays what it
    /// is, whatever was asked of the process.
    pub(super) fn ended_waiting(&self, error: &StoreError) -> Option<u8> {
        self.received().filter(|_| matches!(error, StoreError::Busy { .. }))
    }

    /// The signal that stopped the work, if one did.
    pub(super) fn received(&self) -> Option<u8> {
        match self.number.load(Ordering::SeqCst) {
            0 => None,
            number => Some(number),
        }
    }
}

/// SIGHUPs from now on. Those that come while one is being served fold into one.
pub(super) fn hangups() -> mpsc::Receiver<()> {
    let (sender, receiver) = mpsc::channel(1);
    if let Ok(mut hangups) = signal(SignalKind::hangup()) {
        tokio::spawn(async move {
            while hangups.recv().await.is_some() {
                if let Err(mpsc::error::TrySendError::Closed(())) = sender.try_send(()) {
                    return;
                }
            }
        });
    }
    receiver
}
