"""Instructions of one call, counted by valgrind: a figure that a busy machine does not move.

    cd tests; python -m benchmarks.instructions [--sizes 2000 20000 200000] [--json FILE]

The application answers in this process, without a server: decoding, checks, evaluation, cards,
record and log line. Two runs of different length are counted, so that the start drops out. For
scale, the same is counted of a bare Flask application that decodes the body and returns fixed JSON.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.bare import flask
from benchmarks.bodies import body_of
from benchmarks.in_process import answer, ours

FEW, MANY = 10, 40
APPLICATIONS = {"cobalamin": ours, "bare": flask}


def counted(name: str, size: int, calls: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out"]
        answering = [sys.executable, "-m", "benchmarks.instructions", "--answer", name]
        run = subprocess.run(
            [*valgrind, *answering, "--sizes", str(size), "--calls", str(calls)],
            env={**os.environ, "PYTHONHASHSEED": "0", "XDG_STATE_HOME": folder},
            capture_output=True,
            text=True,
            check=True,
        )
    found = re.search(r"Collected : (\d+)", run.stderr)
    assert found, run.stderr
    return int(found[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[2_000, 20_000, 200_000])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--answer", choices=APPLICATIONS, help=argparse.SUPPRESS)
    parser.add_argument("--calls", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.answer:
        answer(APPLICATIONS[options.answer](), body_of(options.sizes[0]), [None] * options.calls)
        return
    rows = []
    for size in options.sizes:
        per_call = {
            name: (counted(name, size, MANY) - counted(name, size, FEW)) // (MANY - FEW)
            for name in APPLICATIONS
        }
        ratio = round(per_call["cobalamin"] / per_call["bare"], 2)
        rows.append({"size": size, **per_call, "ratio": ratio})
        print(f"{size:>7} bytes: {per_call['cobalamin']:>11,} instructions, "
              f"bare {per_call['bare']:>10,}, ratio {ratio}", flush=True)  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
