#!/usr/bin/env python3
"""Compares chatloom with others on the same pages, and prints one table. See README.md beside it."""

import argparse
import os
import platform
import shutil
import sqlite3
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "common"))
from process import PROGRAM, RELEASE, ROOT, Server, ask, say, to_its_end  # noqa: E402

WORK = ROOT / "target" / "compare"
DLT = "1.31.0"
FAUCET = "1.0.1"
# All that is left out are sources and sinks that nobody here asks for: the whole program takes hours to build.
FAUCET_FEATURES = "source-rest,sink-sqlite,observability"


def chatloom(base, folder):
    (folder / "chatloom.toml").write_text(
        f"""[store]
path = "chatloom.db"

[[sources]]
name = "directory"
provider = "brilliant_directories"
base_url = "{base}"
api_key = "bd-key"
# The pace that protects a real site is not what is compared.
requests_per_minute = 100000000
"""
    )
    (folder / "chatloom.toml").chmod(0o600)
    return [PROGRAM, "--config", folder / "chatloom.toml", "sync", "--json"]


def reference(base, folder):
    return [RELEASE / "examples" / "compare_reference", base, folder / "reference.db"]


def dlt(base, folder):
    return [WORK / "dlt" / "bin" / "python", HERE / "with_dlt.py", base, folder / "dlt.db"]


def faucet(base, folder):
    file = folder / "faucet.db"
    # It makes no tables.
    with sqlite3.connect(file) as db:
        db.execute(
            "CREATE TABLE messages (message_id TEXT, message_token TEXT, thread_token TEXT, message_status TEXT,"
            " message_owner TEXT, message_content TEXT, created_at TEXT)"
        )
    db.close()
    (folder / "faucet.yaml").write_text(
        f"""version: 1
name: compare
pipeline:
  source:
    type: rest
    config:
      base_url: {base}
      path: /api/v2/chat_message_items/get
      method: GET
      auth: {{ type: api_key, config: {{ header: X-Api-Key, value: bd-key }} }}
      query_params: {{ order_column: message_id, order_type: ASC, limit: "100" }}
      pagination: {{ type: PageNumber, param_name: page, start_page: 1 }}
      records_path: "$.message[*]"
      max_pages: 1000000
      max_retries: 3
      retry_backoff: 1
      tolerated_http_errors: []
      replication_method: {{ type: FullTable }}
      primary_keys: [message_id]
      partitions: []
      schema_sample_size: 100
  sink:
    type: sqlite
    config:
      database_url: "sqlite:{file}"
      table_name: messages
      column_mapping: auto_map
"""
    )
    return [WORK / "bin" / "faucet", "run", folder / "faucet.yaml"]


FLOOR = "the tables alone"


def floor(finished, folder):
    """What the store's tables cost by themselves: the rows of a finished store put into a new one."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    program = RELEASE / "examples" / "compare_floor"
    told = subprocess.run([program, finished, folder / "floor.db"], check=True, stdout=subprocess.PIPE, text=True)
    wall, cpu = map(float, told.stdout.split())
    return {"wall": wall, "cpu": cpu}


# Name, command, file, and the ids it holds.
READERS = {
    "chatloom": (chatloom, "chatloom.db", "SELECT external_id FROM messages"),
    "bare Rust": (reference, "reference.db", "SELECT message_id FROM messages"),
    f"dlt {DLT}": (dlt, "dlt.db", "SELECT message_id FROM messages"),
    f"faucet {FAUCET}": (faucet, "faucet.db", "SELECT message_id FROM messages"),
}


def measure(name, server, folder):
    """One run on fresh files."""
    make, file, ids = READERS[name]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = make(server.base, folder)
    server.requests()
    served = server.cpu()
    wall, cpu, memory, code = to_its_end(command, folder)
    if code != 0:
        say(f"{name} ended with {code}, see {folder / 'log'}")
        return None
    with sqlite3.connect(folder / file) as db:
        stored = {int(row[0]) for row in db.execute(ids)}
    db.close()
    return {
        "wall": wall,
        "cpu": cpu,
        "memory": memory,
        "requests": server.requests(),
        "server": server.cpu() - served,
        "rows": len(stored),
        "stored": stored,
        "bytes": (folder / file).stat().st_size,
    }


def install(skip, build):
    WORK.mkdir(parents=True, exist_ok=True)
    if build:
        command = ["cargo", "build", "--locked", "--release", "--bin", "chatloom"]
        command += ["--example", "compare_server", "--example", "compare_reference", "--example", "compare_floor"]
        subprocess.run(command, cwd=ROOT, check=True)
    missing = {}
    name = f"dlt {DLT}"
    if "dlt" in skip:
        missing[name] = "left out"
    elif not (WORK / "dlt" / "bin" / "dlt").exists() and not list(WORK.glob("dlt/lib/*/site-packages/dlt")):
        say("installing dlt")
        subprocess.run([sys.executable, "-m", "venv", WORK / "dlt"], check=True)
        pip = [WORK / "dlt" / "bin" / "pip", "install", "--quiet", f"dlt[sqlalchemy]=={DLT}"]
        if subprocess.run(pip).returncode != 0:
            missing[name] = "could not be installed"
    name = f"faucet {FAUCET}"
    if "faucet" in skip:
        missing[name] = "left out"
    elif not (WORK / "bin" / "faucet").exists():
        say("building faucet, which takes long")
        cargo = ["cargo", "install", "--root", WORK, "faucet-cli", "--version", FAUCET, "--locked"]
        cargo += ["--no-default-features", "--features", FAUCET_FEATURES]
        environment = os.environ | {"CARGO_TARGET_DIR": str(WORK / "faucet-build")}
        if subprocess.run(cargo, env=environment).returncode != 0:
            missing[name] = "could not be built"
    return missing


def drifting(names, folder):
    """How many messages that were there all the time are missing in the end, by reader."""
    lost = {}
    for name in names:
        with Server(1000, 500, drift=True) as server:
            result = measure(name, server, folder)
            if result:
                alive = set(ask(server.base, "/_alive"))
                lost[name] = len(alive - result["stored"])
    return lost


def machine():
    model = next((line for line in open("/proc/cpuinfo") if line.startswith("model name")), ": unknown")
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{os.cpu_count()} × {model.split(':', 1)[1].strip()}, Linux {platform.release()}, load {load}"


def table(runs, lost, missing, arguments):
    lines = [
        f"{arguments.messages:,} messages of about {arguments.bytes} bytes of text, pages of 100; medians of "
        f"{arguments.runs} runs, one after the other in turn.",
        f"Machine: {machine()}.",
        "",
        "| | rows per second | of dlt | of bare Rust | seconds | CPU seconds | of which rows per CPU second | peak memory MiB"
        " | requests | server's CPU seconds | file MiB | rows | rows lost under drift |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines[-2] = lines[-2].replace("of which rows", "rows")
    middle = lambda name, what: statistics.median(run[what] for run in runs[name])  # noqa: E731
    pace = {name: arguments.messages / middle(name, "wall") for name in runs if runs[name]}
    ratio = lambda name, other: f"{pace[name] / pace[other]:.2f}" if other in pace else "-"  # noqa: E731
    for name in READERS:
        if name not in pace:
            lines.append(f"| {name} | {missing.get(name, 'failed')} |" + " - |" * 11)
            continue
        lines.append(
            f"| {name} | {pace[name]:,.0f} | {ratio(name, f'dlt {DLT}')} | {ratio(name, 'bare Rust')} "
            f"| {middle(name, 'wall'):.2f} | {middle(name, 'cpu'):.2f} "
            f"| {arguments.messages / middle(name, 'cpu'):,.0f} | {middle(name, 'memory'):.0f} "
            f"| {middle(name, 'requests'):.0f} | {middle(name, 'server'):.2f} | {middle(name, 'bytes') / 2**20:.0f} "
            f"| {middle(name, 'rows'):.0f} | {lost.get(name, 'failed')} |"
        )
    if FLOOR in pace:
        lines.append(
            f"| {FLOOR} | {pace[FLOOR]:,.0f} | {ratio(FLOOR, f'dlt {DLT}')} | {ratio(FLOOR, 'bare Rust')} "
            f"| {middle(FLOOR, 'wall'):.2f} | {middle(FLOOR, 'cpu'):.2f} "
            f"| {arguments.messages / middle(FLOOR, 'cpu'):,.0f} |" + " - |" * 6
        )
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--bytes", type=int, default=500, help="text of one message, about")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--skip", action="append", default=[], choices=["dlt", "faucet"])
    parser.add_argument("--built", action="store_true", help="take what was built before")
    arguments = parser.parse_args()
    missing = install(arguments.skip, not arguments.built)
    names = [name for name in READERS if name not in missing]
    folder = WORK / "run"
    runs = {name: [] for name in [*names, FLOOR]}
    with Server(arguments.messages, arguments.bytes) as server:
        for number in range(arguments.runs):
            for name in names:
                result = measure(name, server, folder)
                if result:
                    say(f"{number + 1}: {name}: {result['wall']:.2f} s, {result['cpu']:.2f} s of CPU")
                    del result["stored"]
                    runs[name].append(result)
                if result and name == "chatloom":
                    least = floor(folder / "chatloom.db", WORK / "floor")
                    say(f"{number + 1}: {FLOOR}: {least['wall']:.2f} s, {least['cpu']:.2f} s of CPU")
                    runs[FLOOR].append(least)
    text = table(runs, drifting(names, folder), missing, arguments)
    (WORK / "result.md").write_text(text)
    print(text)


main()
