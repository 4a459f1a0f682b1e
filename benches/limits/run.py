#!/usr/bin/env python3
"""What chatloom takes at its limits: memory, what an idle daemon costs, how a large store grows. See README.md beside it."""

import argparse
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "common"))
from process import PROGRAM, ROOT, Server, cpu, held, say, to_its_end  # noqa: E402

WORK = ROOT / "target" / "limits"


def source(base, number=0, poll="5m"):
    return f"""[[sources]]
name = "directory{number}"
provider = "brilliant_directories"
base_url = "{base}"
api_key = "bd-key-{number}"
requests_per_minute = 100000000
poll = "{poll}"
"""


def fresh(name, text):
    folder = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "chatloom.toml").write_text('[store]\npath = "chatloom.db"\n' + text)
    (folder / "chatloom.toml").chmod(0o600)
    return folder


def command(folder, *arguments):
    return [PROGRAM, "--config", folder / "chatloom.toml", *arguments]


def start(folder, *arguments, **more):
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TZ": "UTC"} | more.pop("env", {})
    return subprocess.Popen(command(folder, *arguments), cwd=folder, env=environment, **more)


def run(folder, *arguments):
    """One command to its end: seconds, CPU seconds, most memory."""
    *taken, code = to_its_end(command(folder, *arguments), folder)
    if code != 0:
        sys.exit(f"{arguments} ended with {code}, see {folder / 'log'}")
    return taken


def ask(folder, sql):
    db = sqlite3.connect(f"file:{folder / 'chatloom.db'}?mode=ro", uri=True)
    try:
        return db.execute(sql).fetchone()
    finally:
        db.close()


def pages(folder):
    """The page: every kind of it, and the most memory that `serve` held."""
    child = start(folder, "--log-format", "json", "serve", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    address = None
    for line in child.stderr:
        found = [value for key, value in flat(json.loads(line)) if key == "http.listen"]
        if found:
            address = found[0]
            break
    newest = ask(folder, "SELECT max(id) FROM conversations")[0]
    for path in ["/", "/?days=all", "/conversations", "/conversations?unanswered=1", f"/conversations/{newest}",
                 "/search?q=calo", "/people", "/runs", "/api/overview", "/api/messages", "/api/conversations"]:  # fmt: skip
        with urllib.request.urlopen(f"http://{address}{path}") as answer:
            answer.read()
    most = held(child.pid)
    child.kill()
    child.wait()
    return most


def flat(value, name=""):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, key)
    else:
        yield name, value


def memory(sizes):
    lines = ["| messages | first pass | unchanged `sync --full` | `verify --offline` | `export` Parquet, CSV | page |"]
    lines += ["|---|---|---|---|---|---|"]
    facts = []
    for size in sizes:
        say(f"making {size:,} messages")
        with Server(size) as server:
            folder = fresh("memory", source(server.base) + '[http]\nlisten = "127.0.0.1:0"\n')
            first = run(folder, "sync", "--json")
            first_requests = server.requests()
            say(f"first pass: {first[0]:.1f} s, {first[1]:.1f} s of CPU, {first[2]:.0f} MiB, {first_requests} requests")
            rev, bytes_before = ask(folder, "SELECT rev FROM change_counter")[0], (folder / "chatloom.db").stat().st_size
            full = run(folder, "sync", "--full", "--json")
            full_requests = server.requests()
            say(f"full pass: {full[0]:.1f} s, {full[1]:.1f} s of CPU, {full[2]:.0f} MiB, {full_requests} requests")
            wrote = ask(folder, "SELECT rev FROM change_counter")[0] - rev
            grew = (folder / "chatloom.db").stat().st_size - bytes_before
            idle = run(folder, "sync", "--json")
            idle_requests = server.requests()
        verify = run(folder, "verify", "--offline")
        say(f"verify: {verify[0]:.1f} s, {verify[2]:.0f} MiB")
        parquet = run(folder, "export", "--format", "parquet", "--to", "parquet")
        csv = run(folder, "export", "--format", "csv", "--to", "csv")
        page = pages(folder)
        lines.append(
            f"| {size:,} | {first[2]:.0f} MiB | {full[2]:.0f} MiB | {verify[2]:.0f} MiB | {parquet[2]:.0f}, {csv[2]:.0f} MiB"
            f" | {page:.0f} MiB |"
        )
        facts.append(
            f"- {size:,} messages: a first pass takes {first[0]:.1f} s ({first[1]:.1f} s of CPU) and {first_requests:,}"
            f" requests; an unchanged full pass {full[0]:.1f} s ({full[1]:.1f} s of CPU, {full[1] / first[1]:.2f} of the first)"
            f" and {full_requests:,} requests, changes {wrote} rows, and the file grows by {grew:,} bytes; an idle pass"
            f" {idle[0]:.2f} s and {idle_requests} requests."
        )
    return lines + [""] + facts


def idle(count, seconds, poll):
    """A daemon of so many sources of which no poll brings anything."""
    with Server(100) as server:
        folder = fresh("idle", "".join(source(server.base, number, poll) for number in range(count)))
        with open(folder / "log", "w") as log:
            child = start(folder, "run", stdout=log, stderr=log)
            while True:
                time.sleep(0.5)
                try:
                    done = ask(folder, "SELECT count(*) FROM sources WHERE first_pass_at_ms IS NOT NULL")[0]
                except sqlite3.OperationalError:
                    continue
                if done == count:
                    break
            time.sleep(5)
            server.requests()
            before, begun = cpu(child.pid), time.monotonic()
            time.sleep(seconds)
            share = (cpu(child.pid) - before) / (time.monotonic() - begun)
            text = (
                f"- `run` with {count} sources, each polled every {poll}, after their first passes: {share * 100:.2f} % of a core in {seconds} s, in which"
                f" {server.requests()} requests were made; {held(child.pid, 'VmRSS'):.0f} MiB, {held(child.pid):.0f} at most."
            )
            child.terminate()
            child.wait()
    return [text]


def starting(count):
    """How long a daemon of so many sources takes until it says that it is ready."""
    with Server(100) as server:
        folder = fresh("starting", "".join(source(server.base, number) for number in range(count)))
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        manager.bind(str(folder / "notify"))
        with open(folder / "log", "w") as log:
            begun = time.monotonic()
            child = start(folder, "run", stdout=log, stderr=log, env={"NOTIFY_SOCKET": str(folder / "notify")})
            while b"READY=1" not in manager.recv(65536):
                pass
            ready = time.monotonic() - begun
            time.sleep(2)
            text = f"- `run` with {count:,} sources is ready {ready:.2f} s after its start; {held(child.pid):.0f} MiB."
            child.terminate()
            child.wait()
    return [text]


def plain(folder, server):
    """The smallest file that holds the same messages: their columns as the provider has them, and a text index."""
    path = folder / "plain.db"
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode = OFF")
    names = ["message_id", "message_token", "thread_token", "message_status", "message_owner", "message_content",
             "created_at"]  # fmt: skip
    db.execute(f"CREATE TABLE messages (message_id INTEGER PRIMARY KEY, {', '.join(names[1:])})")
    db.execute("CREATE VIRTUAL TABLE words USING fts5 (message_content, content = 'messages', content_rowid = 'message_id')")
    after = 0
    while True:
        query = f"property=message_id&property_value={after}&property_operator=gt&limit=100"
        with urllib.request.urlopen(f"{server.base}/api/v2/chat_message_items/get?{query}") as answer:
            rows = json.load(answer)["message"]
        if not rows:
            break
        db.executemany(
            f"INSERT INTO messages VALUES ({', '.join('?' * len(names))})", [[row[name] for name in names] for row in rows]
        )
        after = int(rows[-1]["message_id"])
    db.execute("INSERT INTO words (words) VALUES ('rebuild')")
    db.commit()
    db.close()
    return path.stat().st_size


def growth(size):
    """One first pass of so many messages: what a row costs at the beginning and at the end, and the file.

    A row's cost is taken until the last one is stored. What the pass does then for all of them (who is who, names, marks of
    what was unread) is a figure of its own.
    """
    say(f"making {size:,} messages")
    marks = []
    with Server(size) as server:
        folder = fresh("growth", source(server.base))
        with open(folder / "log", "w") as log:
            child = start(folder, "sync", "--json", stdout=log, stderr=log)
            while child.poll() is None:
                try:
                    stored = ask(folder, "SELECT coalesce(max(id), 0) FROM messages")[0]
                    marks.append((stored, cpu(child.pid)))
                except (sqlite3.OperationalError, OSError, IndexError):
                    pass
                time.sleep(0.2)
        whole = (folder / "chatloom.db").stat().st_size
        smallest = plain(folder, server)

    stored_all = next(at for at, mark in enumerate(marks) if mark[0] >= size)
    ending = marks[-1][1] - marks[stored_all][1]

    def cost(low, high, marks):
        inside = [mark for mark in marks if low <= mark[0] <= high]
        (first, begun), (last, ended) = inside[0], inside[-1]
        return (ended - begun) / (last - first) * 1e6

    part = 100_000
    early, late = cost(part // 10, part * 2, marks), cost(size - part * 2, size, marks[: stored_all + 1])
    with_end = cost(size - part * 2, size, marks)
    return [
        f"- {size:,} messages: {early:.1f} µs of CPU a message up to {part * 2:,}, {late:.1f} µs in the last {part * 2:,}"
        f" ({late / early:.2f}); the end of the pass {ending:.1f} s (laid upon these last ones, {with_end / early:.2f})."
        f" The file has {whole / 2**20:,.0f} MiB, {whole / smallest:.2f} times a plain table of the provider's columns"
        f" with a text index ({smallest / 2**20:,.0f} MiB)."
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["memory", "idle", "growth"], help="memory, idle, growth")
    parser.add_argument("--messages", type=int, nargs="+", default=[100_000, 1_000_000], help="for the memory")
    parser.add_argument("--large", type=int, default=3_000_000, help="messages, for the growth")
    parser.add_argument("--built", action="store_true", help="take what was built before")
    arguments = parser.parse_args()
    if not arguments.built:
        build = ["cargo", "build", "--locked", "--release", "--bin", "chatloom", "--example", "compare_server"]
        subprocess.run(build, cwd=ROOT, check=True)
    lines = []
    if "memory" in arguments.parts:
        lines += memory(arguments.messages)
    if "idle" in arguments.parts:
        lines += idle(100, 60, "5m") + idle(100, 60, "1m") + starting(1000)
    if "growth" in arguments.parts:
        lines += growth(arguments.large)
    text = "\n".join(lines) + "\n"
    WORK.mkdir(parents=True, exist_ok=True)
    (WORK / "result.md").write_text(text)
    print(text)


main()
