"""The command over a simulated week: from its log and from its records."""

import base64
import csv
import hashlib
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from log_lines import answer, card, decision, line

SLOW_WEDNESDAY = "Wednesday 4 November 2026 was slow"
OVERRIDDEN = "orderFolicAcid is overridden"
# What logs hold and records do not.
LOGS_ALONE = {"fetches", "errors", "auth_refusals", "lines", "findings"}


def report(*arguments, given=None, **environment):
    command = [Path(sys.executable).with_name("cobalamin"), "report", *map(str, arguments)]
    return subprocess.run(
        command,
        input=given,
        capture_output=True,
        check=False,
        timeout=120,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "COLUMNS": "120", **environment},
    )


def tables(folder):
    return {
        file.stem: list(csv.reader(file.read_text(encoding="utf-8").splitlines()))
        for file in sorted(folder.glob("*.csv"))
    }


def configured(past, folder):
    file = folder / "cobalamin.toml"
    file.write_text(f'[records]\nurl = "{past.records_url}"\n')
    return file


class Page(HTMLParser):
    """What a page holds."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.headings, self.words = [], [], []
        self._inside = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link"):
            self._inside.append(tag)
        if tag in ("h1", "h2", "h3"):
            self.headings.append([tag, ""])

    def handle_endtag(self, tag):
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data):
        if self._inside and self._inside[-1] in ("h1", "h2", "h3"):
            self.headings[-1][1] += data
        if "style" not in self._inside:
            self.words.append(data)


@pytest.fixture(scope="module")
def page(week, tmp_path_factory):
    file = tmp_path_factory.mktemp("page") / "report.html"
    run = report("--from-logs", week.log, "--html", file)
    assert run.returncode == 0, run.stderr
    return file.read_text(encoding="utf-8")


def test_a_week_names_the_slow_wednesday_and_the_overridden_topic(page):
    said = "".join(Page(page).words)
    top = said[said.index("What stands out") : said.index("The rules that this is found by")]
    assert SLOW_WEDNESDAY in top
    assert "Searches of the FHIR server of local were slow too" in top
    assert OVERRIDDEN in top
    assert "What clinicians answer" in top


def test_the_terminal_says_the_same(week):
    run = report("--from-logs", week.log)
    assert run.returncode == 0, run.stderr
    said = run.stdout.decode()
    assert SLOW_WEDNESDAY in said
    assert OVERRIDDEN in said


def test_records_and_logs_give_the_same_figures(week, tmp_path):
    logs, records = tmp_path / "logs", tmp_path / "records"
    assert report("--from-logs", week.log, "--csv", logs).returncode == 0
    config = configured(week, tmp_path)
    run = report("--from-records", "--config", config, "--csv", records)
    assert run.returncode == 0, run.stderr
    from_logs, from_records = tables(logs), tables(records)
    assert from_logs.keys() == from_records.keys()
    for name in from_logs.keys() - LOGS_ALONE:
        assert from_records[name] == from_logs[name], name
    assert len(from_logs["override_reasons"]) > 3
    assert len(from_logs["latency_by_day"]) == 8
    assert any(OVERRIDDEN in row[1] for row in from_records["findings"])


def test_json_holds_what_csv_does(week, tmp_path):
    chosen = (
        "--from-logs",
        week.log,
        "--service",
        "b12-muscle-order-sign",
        "--topic",
        OVERRIDDEN.split(maxsplit=1)[0],
    )
    run = report(*chosen, "--csv", tmp_path / "csv", "--json")
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    written = tables(tmp_path / "csv")
    for name, table in written.items():
        if name != "findings":
            figure = told["figures"][name]
            rows = [["" if v is None else str(v) for v in row] for row in figure["rows"]]
            assert [figure["columns"], *rows] == table, name
    assert {row[1] for row in told["figures"]["calls"]["rows"]} == {"b12-muscle-order-sign"}
    assert len(told["figures"]["answers"]["rows"]) == 1
    assert [one["says"] for one in told["findings"]] == [row[1] for row in written["findings"][1:]]


@pytest.mark.slow
def test_postgresql_gives_the_same_figures(week_in_postgresql, tmp_path):
    logs, records = tmp_path / "logs", tmp_path / "records"
    assert report("--from-logs", week_in_postgresql.log, "--csv", logs).returncode == 0
    config = configured(week_in_postgresql, tmp_path)
    (tmp_path / "key").write_text("k" * 64)
    config.write_text(config.read_text() + f'key_file = "{tmp_path / "key"}"\n')
    run = report("--from-records", "--config", config, "--csv", records)
    assert run.returncode == 0, run.stderr
    from_logs, from_records = tables(logs), tables(records)
    for name in from_logs.keys() - LOGS_ALONE:
        assert from_records[name] == from_logs[name], name
    assert len(from_logs["answers"]) > 2


@pytest.mark.parametrize("days", [("2026-11-03", "2026-11-04")])
def test_days_are_chosen_alike_from_either(week, tmp_path, days):
    chosen = ("--since", days[0], "--until", days[1], "--tenant", "local")
    logs, records = tmp_path / "logs", tmp_path / "records"
    assert report("--from-logs", week.log, *chosen, "--csv", logs).returncode == 0
    config = configured(week, tmp_path)
    run = report("--from-records", "--config", config, *chosen, "--csv", records)
    assert run.returncode == 0, run.stderr
    assert [row[0] for row in tables(logs)["latency_by_day"][1:]] == list(days)
    for name in ("latency_by_day", "answers", "override_reasons", "cards", "withheld"):
        assert tables(records)[name] == tables(logs)[name], name


def test_the_page_needs_nothing_from_anywhere(page):
    parsed = Page(page)
    names = {tag for tag, _ in parsed.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "image", "use"}
    attributes = [(name, value) for _, attrs in parsed.tags for name, value in attrs.items()]
    assert not [name for name, _ in attributes if name == "style" or name.startswith("on")]
    links = [value for name, value in attributes if name in ("href", "src", "xlink:href")]
    assert links
    assert all(link.startswith("#") for link in links)
    namespaces = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert set(re.findall(r"https?://[^\"' )]+", page)) <= namespaces
    assert "url(" not in page
    assert len(page) < 2_000_000


def test_its_own_policy_allows_its_style_and_nothing_else(page):
    [style] = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    [policy] = [
        attrs["content"]
        for tag, attrs in Page(page).tags
        if tag == "meta" and attrs.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'"


def test_every_chart_is_said_in_words_and_in_numbers(page):
    parsed = Page(page)
    figures = [attrs for tag, attrs in parsed.tags if tag == "figure"]
    assert len(figures) == 8
    assert all(attrs["role"] == "img" and len(attrs["aria-label"]) > 40 for attrs in figures)
    drawings = [attrs for tag, attrs in parsed.tags if tag == "svg"]
    assert len(drawings) == 2 * len(figures)
    assert all(attrs["aria-hidden"] == "true" for attrs in drawings)
    for part in page.split("<figure")[1:]:
        assert "<table" in part.split("<h3")[0]


def test_colours_of_charts_are_the_pages(page):
    """One that the page does not know would not be seen in the dark."""
    of_page = set(re.findall(r"(--[a-z0-9-]+):", page))
    drawn = "".join(re.findall(r"<svg.*?</svg>", page, re.DOTALL))
    colours = set(re.findall(r'(?:fill|stroke)="([^"]+)"', drawn))
    assert {one for one in colours if not one.startswith("var(")} <= {"none", "transparent"}
    assert {one[4:-1] for one in colours if one.startswith("var(")} <= of_page


@pytest.mark.slow
def test_days_are_the_same_wherever_the_page_is_made(week, page, tmp_path):
    few = ("--since", "2026-11-03", "--until", "2026-11-04")
    for options in ((), few):
        pages = []
        for zone in ("UTC", "America/Los_Angeles"):
            file = tmp_path / "page.html"
            run = report("--from-logs", week.log, *options, "--html", file, TZ=zone)
            assert run.returncode == 0, run.stderr
            pages.append(file.read_text(encoding="utf-8"))
        assert pages[0] == pages[1]


def test_headings_go_down_one_step_at_a_time(page):
    parsed = Page(page)
    levels = [int(tag[1]) for tag, _ in parsed.headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = [attrs["id"] for _, attrs in parsed.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = [attrs["href"][1:] for tag, attrs in parsed.tags if tag == "a"]
    assert set(links) <= set(ids)


def test_what_stands_in_a_log_is_text_on_the_page(tmp_path):
    evil = "<img src=x onerror=alert(1)>[red]\x1b]0;x\x07"
    lines = [
        decision("2026-11-02", tenant=evil, service=evil, cards=[card("u", evil)], suppressed=[f"{evil}:{evil}"], knowledge={"b12": evil}, version=evil),
        answer("2026-11-02", "u", "overridden", evil),
        line("error", "2026-11-02", status=500, reason=evil),
    ]  # fmt: skip
    log, page = tmp_path / "log", tmp_path / "page.html"
    log.write_text("\n".join(map(json.dumps, lines)))
    run = report("--from-logs", log, "--html", page)
    assert run.returncode == 0, run.stderr
    assert not [tag for tag, _ in Page(page.read_text()).tags if tag == "img"]
    shown = report("--from-logs", log)
    assert shown.returncode == 0, shown.stderr
    assert b"\x1b]0;" not in shown.stdout


def test_standard_input(week):
    run = report("--from-logs", "-", given=week.log.read_bytes())
    assert run.returncode == 0, run.stderr
    assert SLOW_WEDNESDAY in run.stdout.decode()


def test_a_report_of_nothing(tmp_path):
    log, page = tmp_path / "log", tmp_path / "page.html"
    log.write_text("")
    run = report("--from-logs", log, "--html", page)
    assert run.returncode == 0, run.stderr
    assert "Nothing, by the rules below." in page.read_text()
    shown = report("--from-logs", log)
    assert b"Nothing, by the rules of this report." in shown.stdout


def test_what_cannot_be_read_is_said(tmp_path):
    none = report("--from-logs", tmp_path / "none")
    assert (none.returncode, none.stdout) == (1, b"")
    assert b"No such file" in none.stderr
    records = report("--from-records", XDG_STATE_HOME=tmp_path)
    assert records.returncode == 1
    assert b"there is no such file yet" in records.stderr
    assert not list(tmp_path.rglob("*.sqlite3"))


def test_what_cannot_be_written_is_said(tmp_path):
    log, taken = tmp_path / "log", tmp_path / "taken"
    log.touch()
    taken.write_text("")
    for option in ("--csv", "--html"):
        run = report("--from-logs", log, option, taken / "below")
        assert run.returncode == 1
        assert b"taken" in run.stderr
        assert b"Traceback" not in run.stderr


@pytest.mark.parametrize(
    "arguments", [(), ("--from-logs",), ("--from-logs", "--from-records", "x"), ("--from-records", "x"), ("x",)]
)  # fmt: skip
def test_one_source_is_named(arguments):
    assert report(*arguments).returncode == 2
