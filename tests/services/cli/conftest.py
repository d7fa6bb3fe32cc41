"""The command in this process, in a folder of its own; test_cli.py runs it as its users do."""

import json
from importlib.resources import files

import pytest
from click.testing import CliRunner

from services.cli import doctor
from services.cli.main import main


@pytest.fixture
def cobalamin(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    # Whatever COLUMNS was when the console was made.
    monkeypatch.setattr(doctor.OUT, "width", 2000)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("COBALAMIN_CONFIG", raising=False)

    def run(*arguments, given=None):
        return CliRunner().invoke(main, list(map(str, arguments)), input=given)

    return run


@pytest.fixture
def sample():
    """The call of the bundled sample "neuropathy", as of 20 November 2026."""
    document = json.loads((files("services.hooks") / "samples" / "neuropathy.json").read_text())
    document.pop("sampleDay")
    return document
