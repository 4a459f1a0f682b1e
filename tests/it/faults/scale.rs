//! Weighs the binary while it runs: memory and open files, as `/proc` tells them.

use std::io::Read as _;
use std::process::{Command, Stdio};

use super::stage::HASTE;
use crate::harness::{Home, Run};

/// Kibibytes of memory at the most, and files open at the most, while it ran.
pub(crate) struct Weighed {
    pub(crate) run: Run,
    pub(crate) peak_kb: u64,
    pub(crate) files: usize,
}

/// Runs a command and looks at it all the time.
pub(crate) async fn weigh(mut command: Command) -> Weighed {
    tokio::task::spawn_blocking(move || {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let gather = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            err.read_to_end(&mut bytes).unwrap();
            bytes
        });
        let stdout = std::thread::spawn(move || {
            let mut text = String::new();
            out.read_to_string(&mut text).unwrap();
            text
        });
        let (mut peak_kb, mut files) = (0, 0);
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            peak_kb = peak_kb.max(high_water(child.id()));
            // Before it became the binary it was a copy of this process.
            let name = std::fs::read_to_string(format!("/proc/{}/comm", child.id())).unwrap_or_default();
            if name.trim() == "chatloom" {
                files = files.max(std::fs::read_dir(format!("/proc/{}/fd", child.id())).map_or(0, Iterator::count));
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        };
        let stderr = String::from_utf8_lossy(&gather.join().unwrap()).into_owned();
        let run = Run { code: status.code().unwrap_or(-1), stdout: stdout.join().unwrap(), stderr };
        Weighed { run, peak_kb, files }
    })
    .await
    .unwrap()
}

/// The most memory that a process ever held, in KiB.
fn high_water(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// `sync --json` with short waits, looked at all the time.
pub(crate) async fn weigh_sync(home: &Home) -> Weighed {
    let mut command = home.command(&["sync", "--json"], "chatloom=info");
    command.env("CHATLOOM_FAULTS", HASTE);
    weigh(command).await
}
