"""What a run leaves out that names neither a path nor a marker, and how many processes share it."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# How long an example takes is the machine's business.
settings.register_profile("no-clock", deadline=None)
settings.load_profile("no-clock")
TESTS = Path(__file__).parent
# Folders and files that are commands of their own: `python -m pytest tests/faults`.
ALONE = ("attacks", "browser", "faults", "fuzz", "test_supply_chain.py")
PLAIN = pytest.StashKey[bool]()
LEFT_OUT = """\
Left out, each a command of its own:
  python -m pytest -m slow          what takes long: whole runs, PostgreSQL, Spark, images, benchmarks
  python -m pytest tests/attacks    also tests/browser, tests/faults, tests/fuzz
  .ci/run                           all of these, the supply chain, and the wheel on its own
tests/README.md says what each needs and takes."""


def _is_plain(config: pytest.Config) -> bool:
    """Whether the command line names no path."""
    return config.args_source is not pytest.Config.ArgsSource.ARGS


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """One process for what is named by its path, where starting others would take longer."""
    return None if _is_plain(config) else 0


def pytest_configure_node(node: Any) -> None:
    """Tells a worker of xdist what the command line named."""
    node.workerinput["plain"] = _is_plain(node.config)


def pytest_configure(config: pytest.Config) -> None:
    """Leaves out what takes long."""
    worker = getattr(config, "workerinput", None)
    if not (worker["plain"] if worker else _is_plain(config)):
        return
    config.option.ignore_glob = [
        *(config.option.ignore_glob or []),
        *(f"{TESTS}{between}/{name}" for name in ALONE for between in ("", "/*")),
    ]
    if not config.option.markexpr:
        config.option.markexpr = "not slow"
        config.stash[PLAIN] = True


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if config.stash.get(PLAIN, False):
        terminalreporter.write_line(LEFT_OUT)
