"""The unit of systemd, by systemd's own tools; no systemd has to run."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "deploy" / "cobalamin.service"
ANALYZE = shutil.which("systemd-analyze")
pytestmark = pytest.mark.skipif(ANALYZE is None, reason="systemd is not installed")


def test_systemd_understands_every_line(tmp_path):
    program = tmp_path / "cobalamin"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text = UNIT.read_text().replace("#Load", "Load")
    for broken in (False, True):
        unit = tmp_path / "cobalamin.service"
        more = "\nProtectSystems=strict\n[Install]" if broken else "\n[Install]"
        unit.write_text(
            text.replace("/opt/cobalamin/bin/cobalamin", str(program)).replace("\n[Install]", more)
        )
        words = [ANALYZE, "verify", "--man=no", "--recursive-errors=no", unit]
        run = subprocess.run(words, capture_output=True, text=True, check=False)
        about = [line for line in run.stderr.splitlines() if "cobalamin.service" in line]
        assert bool(about) is broken, run.stderr
        assert run.returncode == 0 or broken


def test_systemd_finds_little_exposed():
    words = [ANALYZE, "security", "--offline=yes", "--threshold=15", "--json=short", UNIT]
    run = subprocess.run(words, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    exposed = {one["json_field"] for one in json.loads(run.stdout) if not one["set"]}
    assert "NoNewPrivileges" not in exposed
    assert "ProtectSystem" not in exposed
