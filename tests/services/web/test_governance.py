"""The governance page: the report's figures, of one's own tenants alone."""

import csv
import json
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from pages_app import site_of
from simulation.week import lived
from tables import cases
from waiting import PATIENCE, wait_until

from cds_hooks.config.settings import Settings
from services.cli.report import report
from services.knowledge.configuration import load_settings
from services.web.governance import FIGURE_NAMES, LOG_COLUMNS
from services.web.report_process import (
    CACHE_SECONDS,
    COMMAND,
    MAX_WAITING,
    ReportBusyError,
    ReportFailedError,
    ReportQuery,
    ReportRunner,
    ReportTimeoutError,
)

ALL = "from="  # everything on record
CONFIGURATION = """
[server]
base_url = "http://localhost"
trusted_proxies = ["127.0.0.9"]
certificate_header = "X-Subject"
[records]
url = "sqlite:///week.sqlite3"
key_file = "week.key"
[pages]
key_file = "week.key"
[pages.openid]
issuer = "http://127.0.0.1:9"
client_id = "cobalamin"
tenants_claim = "groups"
[[tenant]]
id = "north"
certificate = "CN=north"
[[tenant]]
id = "south"
certificate = "CN=south"
[[tenant]]
id = "east"
certificate = "CN=east"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A week of three hospitals: the calls before Thursday are the north's, nobody calls from the
    east. What was said of statins in the north was said in silence."""
    folder = tmp_path_factory.mktemp("governance")
    with (folder / "log").open("wb") as log, lived(log, folder, calls=150):
        pass
    with sqlite3.connect(folder / "week.sqlite3") as records:
        early = "SELECT id FROM decision WHERE at < '2026-11-05'"
        records.execute("UPDATE feedback SET tenant = 'south'")
        records.execute(
            f"UPDATE feedback SET tenant = 'north' WHERE card IN (SELECT uuid FROM card WHERE decision IN ({early}))"
        )
        records.execute("UPDATE decision SET tenant = 'south'")
        records.execute(f"UPDATE decision SET tenant = 'north' WHERE id IN ({early})")
        records.execute(
            "UPDATE decision SET record = json_set(record, '$.suppressed', json_array('silent:orderStatin', 'repeat:b12Deficient')) WHERE tenant = 'north' AND hook = 'order-sign'"
        )
    records.close()
    (folder / "cobalamin.toml").write_text(CONFIGURATION)
    return folder


@pytest.fixture(scope="module")
def served(folder):
    return site_of(load_settings(folder / "cobalamin.toml"))


@pytest.fixture
def hospital(served):
    return served.anew().as_user("north")


@pytest.fixture
def at_once(monkeypatch):
    """The command in this process: its start is most of its time."""

    def told(_reports, command):
        return CliRunner().invoke(report, command[len(COMMAND) - 2 :]).stdout_bytes

    monkeypatch.setattr(ReportRunner, "_run_command", told)


def counted(folder, query):
    with sqlite3.connect(folder / "week.sqlite3") as records:
        [found] = records.execute(query)
    records.close()
    return found[0]


def rows_of(answer):
    assert answer.status_code == 200, answer.text
    assert answer.mimetype == "text/csv"
    return list(csv.DictReader(answer.text.splitlines()))


def test_the_figures_are_those_of_the_command(hospital, folder):
    command = [Path(sys.executable).with_name("cobalamin"), "report", "--from-records", "--json"]
    options = ["--config", folder / "cobalamin.toml", "--tenant", "north"]
    told = json.loads(subprocess.run([*command, *options], capture_output=True, check=True).stdout)
    filled = 0
    for name in FIGURE_NAMES:
        figure = told["figures"][name]
        left_out = LOG_COLUMNS.get(name, ((),))[0]
        expected = [
            {
                column: "" if value is None else str(value)
                for column, value in zip(figure["columns"], row, strict=True)
                if column not in left_out
            }
            for row in figure["rows"]
        ]
        assert rows_of(hospital.get(f"/governance/{name}.csv?{ALL}")) == expected
        filled += bool(expected)
    assert filled == len(FIGURE_NAMES)
    page = hospital.get(f"/governance?{ALL}").text
    for finding in told["findings"]:
        assert finding["says"] in page


def test_nobody_sees_another_tenants_rows(hospital, served, folder, at_once):
    north = counted(folder, "SELECT count(*) FROM decision WHERE tenant = 'north'")
    south = counted(folder, "SELECT count(*) FROM decision WHERE tenant = 'south'")
    assert north != south
    for name in FIGURE_NAMES:
        text = hospital.get(f"/governance/{name}.csv?{ALL}").text
        assert "south" not in text
        assert "2026-11-05" not in text  # a day of the south's alone
    assert (
        sum(int(row["calls"]) for row in rows_of(hospital.get(f"/governance/calls.csv?{ALL}")))
        == north
    )
    for path in ("/governance", "/governance/calls.csv"):
        assert hospital.get(f"{path}?tenant=south&{ALL}").status_code == 403
    both = served.anew().as_user("north", "south")
    assert (
        sum(
            int(row["calls"])
            for row in rows_of(both.get(f"/governance/calls.csv?tenant=south&{ALL}"))
        )
        == south
    )
    stranger = served.anew()
    assert stranger.get("/governance").location.startswith("/sign-in")
    assert stranger.get("/governance/calls.csv").status_code == 302
    assert served.anew().as_user().get("/governance").status_code == 403


@cases("""
    asked                                   | calls where
    ----------------------------------------+------------------------------
    from=                                   | true
    from=2026-11-03                         | at >= '2026-11-03'
    from=&to=2026-11-03                     | at < '2026-11-04'
    from=2026-11-03&to=2026-11-03           | at >= '2026-11-03' AND at < '2026-11-04'
    from=&service=b12-muscle-order-sign     | hook = 'order-sign'
    from=&topic=orderFolicAcid              | true
    from=2030-01-01                         | false
""")
def test_filters_choose_calls(case, hospital, folder, at_once):
    rows = rows_of(hospital.get(f"/governance/calls.csv?{case['asked']}"))
    where = f"tenant = 'north' AND {case['calls where']}"
    assert sum(int(row["calls"]) for row in rows) == counted(
        folder, f"SELECT count(*) FROM decision WHERE {where}"
    )


def test_a_rule_is_looked_at_alone(hospital, folder, at_once):
    topic = "orderFolicAcid"
    shown = counted(
        folder,
        f"SELECT count(*) FROM card JOIN decision ON decision.id = card.decision WHERE tenant = 'north' AND topic = '{topic}'",
    )
    assert shown
    [row] = rows_of(hospital.get(f"/governance/answers.csv?{ALL}&topic={topic}"))
    assert (row["topic"], row["shown"]) == (topic, str(shown))
    cards = rows_of(hospital.get(f"/governance/interruptions.csv?{ALL}&topic={topic}"))
    assert sum(int(row["cards"]) for row in cards) == shown


def test_silent_rules_are_told_from_others_that_were_held_back(hospital, folder, at_once):
    calls = counted(
        folder, "SELECT count(*) FROM decision WHERE tenant = 'north' AND hook = 'order-sign'"
    )
    [row] = rows_of(hospital.get(f"/governance/silent.csv?{ALL}"))
    assert (row["topic"], row["times"]) == ("orderStatin", str(calls))


def test_a_table_says_in_its_name_what_it_is(hospital, at_once):
    answer = hospital.get("/governance/cards.csv?from=2026-11-02&to=2026-11-03")
    assert answer.headers["Content-Disposition"] == (
        'attachment; filename="cards-north-2026-11-02-2026-11-03.csv"'
    )
    assert answer.headers["Cache-Control"] == "no-store"
    assert hospital.get("/governance/lines.csv").status_code == 404


def test_what_is_not_known_is_said(served, folder, at_once):
    east = served.anew().as_user("east").get(f"/governance?{ALL}").text
    assert "nothing is known" in east
    assert "<canvas" not in east
    page = served.anew().as_user("north").get(f"/governance?{ALL}").text
    assert "Errors and refused callers stand in the log alone" in page
    assert "refused</th>" not in page  # a column of zeros that nobody counted


@pytest.mark.parametrize(
    "asked",
    [
        "from=yesterday",
        "to=2026-13-01",
        "service=another",
        "topic=--csv%3D/tmp",
        "topic=a%00b",
        "to=9999-12-31",
        "from=0001-01-01",
    ],
)
def test_what_is_no_filter_is_refused(hospital, asked):
    assert hospital.get(f"/governance?{asked}").status_code == 400


@cases("""
    fault         | status | says
    --------------+--------+-------------------
    ReportFailedError  | 503    | does not answer
    ReportBusyError    | 503    | does not answer
    ReportTimeoutError | 504    | took too long
""")
def test_a_report_that_cannot_be_had_is_said_kindly(case, hospital, monkeypatch):
    def refuse(_reports, _asked):
        raise {
            "ReportFailedError": ReportFailedError,
            "ReportBusyError": ReportBusyError,
            "ReportTimeoutError": ReportTimeoutError,
        }[case["fault"]]

    monkeypatch.setattr(ReportRunner, "get_report", refuse)
    refused = hospital.get("/governance")
    assert refused.status_code == int(case["status"])
    assert case["says"] in refused.text
    assert hospital.lines[-1]["reason"] == case["fault"]
    assert hospital.refusals() == []


EMPTY = '{"figures": {}, "findings": []}'


def python(code):
    return [sys.executable, "-c", code]


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        (python("raise SystemExit(1)"), ReportFailedError),
        (python("print('{')"), ReportFailedError),
        (python("print('[]')"), ReportFailedError),
        (["/nowhere/cobalamin"], ReportFailedError),
        (python("import time; time.sleep(600)"), ReportTimeoutError),
    ],
)
def test_a_command_that_fails_or_takes_too_long_is_ended(command, fault):
    began = time.monotonic()
    with pytest.raises(fault):
        ReportRunner(Settings(), command=command, seconds=1).get_report(ReportQuery("north"))
    assert time.monotonic() - began < PATIENCE


def test_nothing_that_a_command_laid_aside_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    laid = python(
        "import tempfile, time; f = tempfile.mkdtemp(); open(f + '/lines', 'w').write('x');"
        "time.sleep(60)"
    )
    with pytest.raises(ReportTimeoutError):
        ReportRunner(Settings(), command=laid, seconds=1).get_report(ReportQuery("north"))
    assert list(tmp_path.iterdir()) == []


def test_a_report_is_made_once_for_all_who_ask_and_again_after_a_minute(tmp_path):
    runs = tmp_path / "runs"
    now = [0.0]
    go_on = tmp_path / "go-on"
    made = python(
        "import pathlib, time\n"
        f"open({str(runs)!r}, 'a').write('x')\n"
        f"while not pathlib.Path({str(go_on)!r}).exists():\n"
        "    time.sleep(.02)\n"
        f"print({EMPTY!r})"
    )
    reports = ReportRunner(Settings(), command=made, now=lambda: now[0])
    asking = [
        threading.Thread(target=reports.get_report, args=(ReportQuery("north"),))
        for _ in range(MAX_WAITING)
    ]
    for thread in asking:
        thread.start()
    wait_until(lambda: reports._places._value == 0)
    with pytest.raises(ReportBusyError):
        reports.get_report(ReportQuery("south"))
    go_on.touch()
    for thread in asking:
        thread.join()
    assert runs.read_text() == "x"
    reports.get_report(ReportQuery("south"))
    assert runs.read_text() == "xx"  # never the other's
    now[0] += CACHE_SECONDS
    reports.get_report(ReportQuery("north"))
    assert runs.read_text() == "xxx"
