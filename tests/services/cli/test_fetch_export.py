"""The command that fetches a bulk export: killed, refused, configured, and never telling a secret."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from bulk_export_server import SECRET, TOKEN, make_outcome, run_bulk_server
from tables import cases
from waiting import PATIENCE, wait_until

LINES = b"".join(b'{"resourceType":"Observation","id":"%06d"}\n' % n for n in range(40_000))
FILES = {"a": ("output", "Observation", LINES), "b": ("output", "Observation", LINES)}


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("COBALAMIN_BULK_TOKEN", TOKEN)
    with run_bulk_server(dict(FILES)) as started:
        started.token = TOKEN
        yield started
        started.go_on.set()


@pytest.fixture
def command(server, tmp_path):
    def start(*arguments):
        cobalamin = Path(sys.executable).with_name("cobalamin")
        return subprocess.Popen(
            [cobalamin, "fetch-export", server.base, "--into", tmp_path / "in", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "HOME": str(tmp_path)},
        )

    return start


def size_in(folder):
    return sum(file.stat().st_size for file in folder.glob(".*.part"))


def until_under_way(server, running, folder):
    """Until a part of the files is here; the rest waits for `server.go_on`."""

    def is_under_way():
        assert running.poll() is None, running.communicate()
        return size_in(folder) > 300_000

    server.most = 1_000_000
    wait_until(is_under_way)


@pytest.mark.parametrize(("end", "status"), [(signal.SIGKILL, -9), (signal.SIGTERM, 130)])
def test_a_fetch_that_was_ended_goes_on_where_it_was(server, command, tmp_path, end, status):
    running = command()
    until_under_way(server, running, tmp_path / "in")
    running.send_signal(end)
    assert running.wait(PATIENCE) == status
    running.communicate()
    assert [
        file.name for file in (tmp_path / "in").iterdir() if not file.name.startswith(".")
    ] == []
    held = size_in(tmp_path / "in")
    assert held > 300_000
    server.most, server.sent = None, Counter()  # what still goes to the first is not counted
    server.go_on.set()
    again = command()
    said, _ = again.communicate(timeout=PATIENCE)
    assert again.returncode == 0, said
    assert [file.read_bytes() for file in sorted((tmp_path / "in").glob("*.ndjson"))] == [LINES] * 2
    assert sum(server.sent.values()) == 2 * len(LINES) - held
    assert server.count_requests("GET", "/fhir/Patient/$export") == 1
    assert list((tmp_path / "in").glob(".*.part*")) == []


def test_two_commands_do_not_share_a_folder(server, command, tmp_path):
    first = command()
    until_under_way(server, first, tmp_path / "in")
    second = command()
    try:
        said, _ = second.communicate(timeout=PATIENCE)
    finally:
        first.kill()
        first.communicate()
    assert second.returncode == 1
    assert "another command" in said


def test_nothing_secret_is_told_or_open_to_others(server, cobalamin, tmp_path):
    server.statuses = {"b": [418]}
    told = cobalamin("fetch-export", server.base, "--into", "in")
    assert told.exit_code == 1
    assert "status 418" in told.output
    again = cobalamin("fetch-export", server.base, "--into", "in")
    assert again.exit_code == 0
    assert "2 files, 3.6 MB, 80,000 resources, as of 2026-11-01T00:00:00Z" in again.output
    for output in (told.output, again.output):
        assert TOKEN not in output
        assert SECRET not in output
    for file in (tmp_path / "in").iterdir():
        assert file.stat().st_mode & 0o077 == 0, file.name
        assert TOKEN.encode() not in file.read_bytes()
    assert (tmp_path / "in").stat().st_mode & 0o077 == 0


def test_a_token_that_the_server_refuses_is_told(server, cobalamin, monkeypatch):
    monkeypatch.setenv("OTHER", "wr0ng")
    told = cobalamin("fetch-export", server.base, "--into", "in", "--token-variable", "OTHER")
    assert told.exit_code == 1
    assert "status 401, error/login" in told.output
    assert "wr0ng" not in told.output


def test_errors_that_the_server_reports_are_an_exit_status_of_their_own(server, cobalamin):
    issue = json.dumps(make_outcome("processing", "Ann Smith")).encode() + b"\n"
    server.files["e"] = ("error", "OperationOutcome", issue * 3)
    told = cobalamin("fetch-export", server.base, "--into", "in")
    assert told.exit_code == 3
    assert "the server reports: error/processing (3)" in told.output
    assert "Ann" not in told.output


def test_what_would_go_on_has_an_exit_status_of_its_own(server, cobalamin, monkeypatch):
    server.polls = [(202, {"Retry-After": "3600"}, None)] * 2
    told = cobalamin("fetch-export", server.base, "--into", "in", "--deadline-hours", "1")
    assert told.exit_code == 75
    assert "The same command goes on from here." in told.output


def test_an_export_is_cancelled(server, cobalamin):
    server.statuses = {"b": [418]}
    cobalamin("fetch-export", server.base, "--into", "in")
    assert "given up" in cobalamin("fetch-export", server.base, "--into", "in", "--cancel").output
    assert server.deleted
    assert "no export" in cobalamin("fetch-export", server.base, "--into", "in", "--cancel").output


def test_the_server_may_stand_in_the_configuration(server, cobalamin, tmp_path):
    (tmp_path / "c.toml").write_text(f'[bulk_export]\nserver = "{server.base}/"\nparallel = 1\n')
    told = cobalamin("fetch-export", "--config", "c.toml", "--into", "in", "--group", "g-1")
    assert told.exit_code == 0, told.output
    assert server.asked[0].path == "/fhir/Group/g-1/$export"


def test_a_key_for_one_server_is_never_used_for_another(server, cobalamin, tmp_path):
    (tmp_path / "c.toml").write_text(
        '[bulk_export]\nserver = "https://other.example/fhir"\nclient_id = "c"\nkey_file = "absent"\n'
    )
    told = cobalamin("fetch-export", server.base, "--config", "c.toml", "--into", "in")
    assert told.exit_code == 0, told.output
    told = cobalamin("fetch-export", "--config", "c.toml", "--into", "in2")
    assert told.exit_code == 1
    assert "absent" in told.output


@cases("""
    arguments                                            | says
    -----------------------------------------------------+-----
                                                         | Name the URL
    http://ehr.example/fhir                              | https
    https://ehr.example/fhir --group a/b                 | FHIR id
    https://ehr.example/fhir --group a --system          | two levels
    https://ehr.example/fhir --since 2026-01-01          | with its zone
    https://ehr.example/fhir --type-filter status=final  | a type and a query
    https://ehr.example/fhir --client-id c               | belong together
    https://ehr.example/fhir --file-server files         | origin
""")
def test_what_makes_no_sense_is_refused(case, cobalamin):
    told = cobalamin("fetch-export", "--into", "in", *case["arguments"].split())
    assert told.exit_code == 2
    assert case["says"] in " ".join(told.output.replace("│", " ").split())
