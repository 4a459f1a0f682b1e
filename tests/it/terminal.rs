//! The binary on a terminal, and what the terminal is told.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::Command;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// Runs a command with a terminal for its results and its logs; everything that came there, and the exit status.
pub(crate) async fn run_on_terminal(command: Command) -> (i32, String) {
    run_and_type(command, None).await
}

/// The same, with something typed there.
pub(crate) async fn run_and_type(mut command: Command, typed: Option<&'static str>) -> (i32, String) {
    tokio::task::spawn_blocking(move || {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let no_controlling = i32::try_from(OpenptFlags::NOCTTY.bits()).unwrap();
        let slave = OpenOptions::new().read(true).write(true).custom_flags(no_controlling).open(name).unwrap();
        let mut master = File::from(master);
        if let Some(typed) = typed {
            command.stdin(slave.try_clone().unwrap());
            master.write_all(typed.as_bytes()).unwrap();
        }
        let reading = std::thread::spawn(move || {
            let mut told = Vec::new();
            let mut buffer = [0; 4096];
            // The other side is gone when reading fails.
            while let Ok(length @ 1..) = master.read(&mut buffer) {
                told.extend_from_slice(&buffer[..length]);
            }
            told
        });
        command.env("TERM", "xterm-256color").stdout(slave.try_clone().unwrap()).stderr(slave);
        let mut child = command.spawn().unwrap();
        // It keeps the terminal open as long as it is there.
        drop(command);
        let code = child.wait().unwrap().code().unwrap_or(-1);
        let told = String::from_utf8_lossy(&reading.join().unwrap()).into_owned();
        crate::traces::assert_keyless("a terminal", told.as_bytes());
        (code, told)
    })
    .await
    .unwrap()
}
