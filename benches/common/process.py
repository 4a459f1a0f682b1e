"""What the comparisons and the limits share: the prerendered site, and what a process takes."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
RELEASE = ROOT / "target" / "release"
PROGRAM = Path(os.environ.get("COMPARE_CHATLOOM", RELEASE / "chatloom"))


def say(text):
    print(text, file=sys.stderr, flush=True)


def ask(base, path):
    with urllib.request.urlopen(base + path) as answer:
        return json.load(answer)


def cpu(pid):
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def held(pid, what="VmHWM"):
    """Memory of a process in MiB: the most so far, or now (`VmRSS`)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(what)), 0)


class Server:
    """The prerendered site, as a process of its own."""

    def __init__(self, messages, size=500, drift=False):
        command = [RELEASE / "examples" / "compare_server", str(messages), str(size)] + (["drift"] if drift else [])
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.base = self.process.stdout.readline().strip()
        if not self.base:
            sys.exit("the server did not start")

    def cpu(self):
        return cpu(self.process.pid)

    def requests(self):
        """Requests since this was last asked."""
        return ask(self.base, "/_report")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def to_its_end(command, folder, environment=None):
    """Runs a command in a folder, its output in `log` there: seconds, CPU seconds, most memory in MiB, exit code."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TZ": "UTC"} | (environment or {})
    with open(folder / "log", "w") as log:
        begun = time.monotonic()
        child = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=environment)
        most, ended = 0, 0
        while not ended:
            # Not `ru_maxrss`: that begins with the size of this script, which the child was a copy of.
            most = max(most, held(child.pid))
            time.sleep(0.01)
            ended, status, usage = os.wait4(child.pid, os.WNOHANG)
        seconds = time.monotonic() - begun
    child.returncode = os.waitstatus_to_exitcode(status)
    return seconds, usage.ru_utime + usage.ru_stime, most, child.returncode
