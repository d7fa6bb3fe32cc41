"""No text breaks a parser: some hundreds for each, and twenty seconds under atheris.

Longer by `python -m fuzz.parsers`.
"""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz.targets import TARGETS, broken

SECONDS = 20
TEXTS = 300


@pytest.mark.parametrize("name", TARGETS)
def test_broken_texts_get_the_documented_exception(name):
    target, chance = TARGETS[name], random.Random(name)
    for seed in target.seeds:
        target.run(seed)
    for _ in range(TEXTS):
        target.run(broken(target, chance.choice(target.seeds), chance))


def test_what_a_fuzzer_finds_gets_the_documented_exception(tmp_path):
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
