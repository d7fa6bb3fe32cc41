"""Twenty seconds of the parsers under atheris; longer by `python -m fuzz.parsers`."""

import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = 20


def test_no_text_breaks_a_parser(tmp_path):
    # It runs in processes of its own: it changes the modules that it follows.
    pytest.importorskip("atheris", reason="the extra `fuzz` is not installed")
    command = [sys.executable, "-m", "fuzz.parsers", "--target", "all"]
    done = subprocess.run(
        [*command, "--seconds", str(SECONDS), "--folder", str(tmp_path)],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    [executed] = [line for line in done.stderr.splitlines() if "executed_units" in line]
    assert int(executed.split()[-1]) > 1000, executed
