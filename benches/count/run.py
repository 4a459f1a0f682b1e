#!/usr/bin/env python3
"""Counts the instructions that pieces of chatloom's work take, and compares them with what they took before.

    python3 benches/count/run.py            # fails where a piece takes over 10 % more than expected.json says
    python3 benches/count/run.py --write    # writes expected.json anew, for a change that is meant

Instructions are counted by callgrind (`sh tests/setup.sh counts` installs it): unlike seconds, they are nearly the same on
a busy machine. Another compiler or another C library may need another expected.json."""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PROGRAM = ROOT / "target" / "release" / "examples" / "count_work"
EXPECTED = HERE / "expected.json"
# More than this is a failure; less than this is worth a new number.
MORE, LESS = 1.10, 0.90

# Each piece with the piece that makes what it needs: the difference is counted.
BD = "brilliant_directories"
PIECES = {
    **{f"normalising {name}": f"making {name}" for name in (BD, "zaia", "sitegpt")},
    f"hashing {BD}": f"normalising {BD}",
    f"packing {BD}": f"normalising {BD}",
    "packing zaia": "normalising zaia",
    **{f"committing {name}": f"normalising {name}" for name in (BD, "zaia", "sitegpt")},
    f"meeting_again {BD}": f"committing {BD}",
    f"searching {BD}": f"committing {BD}",
    f"views {BD}": f"committing {BD}",
}


def count(piece):
    out = ROOT / "target" / "count.out"
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", PROGRAM, piece]
    done = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not found:
        sys.exit(f"{piece} could not be counted:\n{done.stdout}{done.stderr}")
    return int(found.group(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write expected.json anew")
    parser.add_argument("--built", action="store_true", help="take what was built before")
    arguments = parser.parse_args()
    if not arguments.built:
        subprocess.run(["cargo", "build", "--locked", "--release", "--example", "count_work"], cwd=ROOT, check=True)
    counted = {}
    for piece in {*PIECES, *PIECES.values()}:
        counted[piece] = count(piece)
    found = {piece: counted[piece] - counted[before] for piece, before in PIECES.items()}
    # A thousand messages each.
    if arguments.write:
        EXPECTED.write_text(json.dumps(found, indent=2) + "\n")
    expected = json.loads(EXPECTED.read_text())
    failed = False
    for piece, instructions in found.items():
        before = expected.get(piece)
        ratio = instructions / before if before else 0
        note = ""
        if not before or ratio > MORE:
            failed, note = True, "  <- more than before" if before else "  <- not expected"
        elif ratio < LESS:
            note = "  (less than before: `--write` keeps it so)"
        print(f"{piece:36} {instructions:>14,} instructions, {ratio:.3f} of what is expected{note}")
    if failed:
        sys.exit("some work takes more instructions; if that is meant, run with --write and say why")


main()
