//! The whole program on the large store: its page, and its exports.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use divan::Bencher;
use divan::counter::ItemsCount;

const CHATLOOM: &str = env!("CARGO_BIN_EXE_chatloom");

/// A folder with a configuration that names the large store.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let store = super::made::large();
    let config = format!("[store]\npath = \"{}\"\n[http]\nlisten = \"127.0.0.1:0\"\n", store.display());
    std::fs::write(folder.path().join("chatloom.toml"), config).expect("a file");
    folder
}

fn command(folder: &tempfile::TempDir) -> Command {
    let mut command = Command::new(CHATLOOM);
    command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// What a process held at most so far, in MiB.
fn peak(child: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kib| kib / 1024)
}

/// `chatloom serve`, until it is dropped.
struct Served {
    child: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Served {
    fn start() -> Self {
        let folder = folder();
        let mut child =
            command(&folder).args(["--log-format", "json", "serve"]).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let address = lines
            .find_map(|line| {
                let line: serde_json::Value = serde_json::from_str(&line.expect("a line")).ok()?;
                find(&line, "http.listen")
            })
            .expect("it says where it listens");
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address, _folder: folder }
    }

    /// The size of an answer.
    fn get(&self, path: &str) -> usize {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address).expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{path}: {}", String::from_utf8_lossy(&answer));
        answer.len()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        eprintln!("held {:?} MiB at most", peak(&self.child));
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A value anywhere in a log line.
fn find(line: &serde_json::Value, name: &str) -> Option<String> {
    let fields = line.as_object()?;
    fields
        .get(name)
        .and_then(|value| value.as_str().map(str::to_owned))
        .or_else(|| fields.values().find_map(|value| find(value, name)))
}

#[divan::bench(args = [
    "/", "/?days=all", "/conversations", "/conversations?unanswered=1", "/conversations/4711", "/search?q=calo", "/people",
    "/api/overview",
], sample_count = 20)]
fn page(bencher: Bencher<'_, '_>, path: &str) {
    let served = Served::start();
    served.get(path);
    bencher.bench_local(|| served.get(path));
}

/// The first page that a process gives, from its start on.
#[divan::bench(sample_count = 5)]
fn first_page(bencher: Bencher<'_, '_>) {
    bencher.with_inputs(Served::start).bench_local_values(|served| {
        served.get("/");
        served
    });
}

#[divan::bench(args = ["parquet", "csv", "jsonl"], sample_count = 3)]
fn export(bencher: Bencher<'_, '_>, format: &str) {
    let folder = folder();
    let mut highest = 0;
    bencher.counter(ItemsCount::new(super::made::size())).bench_local(|| {
        let args = ["export", "--format", format, "--what", "messages", "--to", "out", "--replace"];
        let mut child = command(&folder).args(args).stderr(Stdio::null()).spawn().expect("it starts");
        loop {
            highest = highest.max(peak(&child).unwrap_or(0));
            match child.try_wait().expect("a child") {
                Some(status) => break assert!(status.success(), "{format}: {status}"),
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    });
    eprintln!("held {highest} MiB at most");
}
