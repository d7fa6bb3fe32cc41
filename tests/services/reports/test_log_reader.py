"""Lines are read wherever they were kept, and whatever stands between them."""

import gzip
import json
import os
import threading
from datetime import date

import pytest
from log_lines import SERVICE, answer, card, decision, line, old_decision
from old_records import fill_old

from cds_hooks.records.database import make_engine
from cds_hooks.records.migrations import migrate
from services.reports.figures import compute_figures
from services.reports.log_reader import ReportWindow, UnreadableLogError, open_events
from services.reports.records_reader import write_lines

LINES = [
    decision("2026-11-02", cards=[card("u1")]),
    decision("2026-11-03", cards=[card("u2", "orderStatin", "info"), card("u3")]),
    answer("2026-11-03", "u1", "overridden", "action-completed"),
]


def rows(figures, name):
    return figures[name].as_dicts()


def read(*files, window=None, reasons=None):
    with open_events(list(map(str, files)), window or ReportWindow(), reasons) as connection:
        return compute_figures(connection)


def text(lines):
    return "".join(f"{json.dumps(one)}\n" for one in lines).encode()


def test_lines_that_are_none_of_ours_are_counted_and_left(reported):
    figures, found = reported(
        [
            *LINES,
            "",
            "Traceback (most recent call last):",
            '{"event": "decision", "time": "2026-11',
            "[1, 2]",
            "42",
            '{"msg": "another program", "event": "login"}',
            {"event": "decision", "tenant": "north"},
            {"event": ["decision"], "time": "2026-11-02T10:00:00Z"},
            line("feedback", "2026-11-02", items=1, new=1),
        ]
    )
    counted = {one["kind"]: one["lines"] for one in rows(figures, "lines")}
    assert counted == {
        "read": 3,
        "not JSON": 2,
        "no event of this service": 4,
        "event without a time": 1,
        "feedback that names no card": 1,
    }
    assert "8 lines of the logs could not be used" in [one.says for one in found]
    assert sum(one["calls"] for one in rows(figures, "latency")) == 2


def test_members_in_another_shape_are_not_known(reported):
    odd = {"durationMs": "fast", "prefetch": 7, "cards": {"uuid": 1}, "suppressed": "all"}
    figures, _ = reported([decision("2026-11-02", **odd), decision("2026-11-02")])
    [one] = rows(figures, "latency")
    assert (one["calls"], one["p50"]) == (2, 10.0)
    assert rows(figures, "cards") == []


def test_lines_of_both_versions_are_read(reported):
    severe = {"b12": "unlikely", "sarcopenia": "severe"}
    figures, _ = reported(
        [
            decision("2026-11-02"),
            old_decision("2026-11-02"),
            old_decision("2026-11-02", findings={"b12": "unlikely", "sarcopenia": None}),
            decision("2026-11-02", findings=severe | {"iron": "low"}),
            decision("2026-11-02", findings="severe"),
        ]
    )
    counted = {(one["axis"], one["category"]): one["calls"] for one in rows(figures, "categories")}
    assert counted == {
        ("B12", "deficient"): 2,
        ("B12", "unlikely"): 2,
        ("sarcopenia", "not_assessed"): 2,
        ("sarcopenia", "severe"): 1,
        ("iron", "low"): 1,
        ("tier", "T3"): 5,
    }
    [prefetch] = rows(figures, "prefetch")
    assert prefetch["keys"] == 50


@pytest.mark.parametrize("revision", ["0003", "head"])
def test_records_are_read_before_and_after_their_migration(tmp_path, revision):
    url, file = f"sqlite:///{tmp_path / 'records.sqlite3'}", tmp_path / "lines"
    engine = make_engine(url)
    fill_old(engine)
    migrate(engine, revision)
    engine.dispose()
    write_lines(url, ReportWindow(tenant="north"), file, lambda _part: None)
    counted = rows(read(file), "categories")
    assert [(one["axis"], one["category"], one["calls"]) for one in counted] == [
        ("B12", "deficient", 1),
        ("B12", "no-action", 1),
        ("B12", "unlikely", 1),
        ("sarcopenia", "not_assessed", 1),
        ("sarcopenia", "probable", 1),
        ("tier", "T2", 3),
    ]


def test_bytes_that_are_no_text_and_lines_without_end(tmp_path):
    file = tmp_path / "log"
    endless = b'{"a": "' + b"x" * 5_000_000 + b'"}\n'
    file.write_bytes(text(LINES) + b'{"event": "\xff"}\n' + endless + text(LINES[:1]))
    counted = {one["kind"]: one["lines"] for one in rows(read(file), "lines")}
    assert counted["read"] == 4
    assert counted["not text, or too long"] >= 2


@pytest.mark.parametrize("kind", ["plain", "gzip", "zstd"])
def test_compression_is_seen_by_how_a_file_begins(tmp_path, kind):
    import duckdb

    file = tmp_path / "log.1"
    if kind == "zstd":
        with duckdb.connect() as connection:
            connection.execute(
                "CREATE TABLE one AS SELECT unnest($lines) AS line",
                {"lines": [json.dumps(one) for one in LINES]},
            )
            connection.execute(
                f"COPY one TO '{file}' (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x1f', COMPRESSION zstd)"
            )
    else:
        file.write_bytes(gzip.compress(text(LINES)) if kind == "gzip" else text(LINES))
    assert len(rows(read(file), "latency_by_day")) == 2


def test_envelopes_of_container_runtimes(reported):
    kubernetes = f"2026-11-02T10:00:00.1Z stdout F {json.dumps(LINES[0])}"
    docker = {
        "log": f"{json.dumps(LINES[1])}\n",
        "stream": "stdout",
        "time": "2026-11-03T10:00:00Z",
    }
    figures, _ = reported([kubernetes, json.dumps(docker, separators=(",", ":"))])
    assert [one["calls"] for one in rows(figures, "latency_by_day")] == [1, 1]


def test_files_of_several_days_and_one_named_twice(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(text(LINES[:1]))
    second.write_bytes(text(LINES[1:]))
    figures = read(first, second, f"{tmp_path}/./a")
    assert sum(one["calls"] for one in rows(figures, "latency")) == 2
    [topic] = [one for one in rows(figures, "answers") if one["overridden"]]
    assert (topic["topic"], topic["shown"]) == ("b12Deficient", 2)


def test_a_name_is_no_pattern_of_names(tmp_path):
    (tmp_path / "log[12]*").write_bytes(text(LINES[:1]))
    (tmp_path / "log1").write_bytes(text(LINES))
    assert len(rows(read(tmp_path / "log[12]*"), "latency_by_day")) == 1


def test_a_pipe_is_read_once(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(gzip.compress(text(LINES)),))
    writer.start()
    assert len(rows(read(pipe), "latency_by_day")) == 2
    writer.join()


def test_an_empty_file_is_a_report_of_nothing(tmp_path):
    file = tmp_path / "log"
    file.touch()
    assert all(not computed.rows for computed in read(file).values())


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UnreadableLogError, match="No such file"):
        read(tmp_path / "none")


def test_a_compressed_file_that_was_cut_short_is_no_report(tmp_path):
    file = tmp_path / "log.gz"
    file.write_bytes(gzip.compress(text(LINES * 1000))[:-200])
    with pytest.raises(UnreadableLogError, match=r"log\.gz"):
        read(file)


def test_days_are_utc_and_both_are_in_the_window(tmp_path):
    file = tmp_path / "log"
    times = [
        "2026-11-01T23:59:59.999Z",
        "2026-11-02T00:00:00Z",
        "2026-11-03T23:59:59Z",
        "2026-11-04T00:30:00+01:00",
        "2026-11-04T00:00:00Z",
    ]
    file.write_bytes(text([decision(time) for time in times]))
    figures = read(file, window=ReportWindow(date(2026, 11, 2), date(2026, 11, 3)))
    assert [(one["day"].day, one["calls"]) for one in rows(figures, "latency_by_day")] == [
        (2, 1),
        (3, 2),
    ]


def test_an_answer_counts_for_its_card_though_it_came_after_the_window(tmp_path):
    file = tmp_path / "log"
    file.write_bytes(text(LINES))
    figures = read(file, window=ReportWindow(until=date(2026, 11, 2)))
    [topic] = rows(figures, "answers")
    assert (topic["shown"], topic["overridden"]) == (1, 1)


def test_one_tenant_alone(tmp_path):
    file = tmp_path / "log"
    south = {**answer("2026-11-03", "u1", "accepted"), "tenant": "south"}
    file.write_bytes(text([*LINES, decision("2026-11-02", tenant="south"), south]))
    figures = read(file, window=ReportWindow(tenant="north"))
    assert {one["tenant"] for one in rows(figures, "latency")} == {"north"}
    # What another tenant says of a card is nothing said of it.
    both = read(file)
    assert [one["accepted"] for one in rows(both, "answers")] == [0, 0]


def test_the_last_answer_to_a_card_counts(reported):
    figures, _ = reported(
        [
            decision("2026-11-02", cards=[card("u1")]),
            answer("2026-11-02T11:00:00Z", "u1", "accepted"),
            answer("2026-11-02T12:00:00Z", "u1", "overridden", "patient-refuses"),
            answer("2026-11-02T10:30:00Z", "u1", "accepted"),
        ]
    )
    [topic] = rows(figures, "answers")
    assert (topic["accepted"], topic["overridden"]) == (0, 1)
    [why] = rows(figures, "override_reasons")
    assert why["reason"] == "patient-refuses"


def test_a_reason_that_may_not_be_named_is_other(tmp_path):
    file = tmp_path / "log"
    typed = answer("2026-11-02", "u1", "overridden", "Mrs Miller said no")
    file.write_bytes(text([LINES[0], typed]))
    [why] = rows(read(file, reasons={"action-completed"}), "override_reasons")
    assert why["reason"] == "other"


def test_withheld_is_told_by_reason_and_topic(reported):
    said = ["snoozed:b12Indeterminate", "b12:already-ordered", "limit:orderStatin"]
    figures, _ = reported([decision("2026-11-02", suppressed=said)])
    told = {(one["reason"], one["topic"]) for one in rows(figures, "withheld")}
    assert told == {
        ("snoozed", "b12Indeterminate"),
        ("already-ordered", "b12"),
        ("limit", "orderStatin"),
    }


def test_one_service_alone(reported):
    other = decision("2026-11-02", service="b12-muscle-order-sign", cards=[card("o")])
    lines = [
        decision("2026-11-02", cards=[card("a")]),
        other,
        answer("2026-11-02", "a", "accepted"),
    ]
    figures, _ = reported(lines, ReportWindow(service="b12-muscle-order-sign"))
    assert figures["calls"].rows == (("north", "b12-muscle-order-sign", 200, 1),)
    assert figures["answers"].as_dicts()[0]["unanswered"] == 1


def test_a_topic_chooses_cards_and_no_calls(reported):
    lines = [
        decision("2026-11-02", cards=[card("a"), card("b", "orderStatin")]),
        decision("2026-11-03", cards=[card("c")], suppressed=["silent:orderStatin", "silent:x"]),
        answer("2026-11-02", "a", "accepted"),
        answer("2026-11-02", "b", "overridden", "patient-refuses"),
    ]
    figures, _ = reported(lines, ReportWindow(topic="orderStatin"))
    assert [row["answered"] for row in figures["by_day"].as_dicts()] == [1, 1]
    [shown] = figures["answers"].as_dicts()
    assert (shown["topic"], shown["shown"], shown["overridden"]) == ("orderStatin", 1, 1)
    assert figures["interruptions"].as_dicts()[0]["cards"] == 1
    assert [row["topic"] for row in figures["withheld"].as_dicts()] == ["orderStatin"]


def test_what_silent_rules_would_have_said_is_told_from_what_else_was_withheld(reported):
    lines = [
        decision(day, suppressed=["silent:orderStatin", "repeat:b12Deficient", "b12:on-treatment"])
        for day in ("2026-11-02", "2026-11-02", "2026-11-03")
    ]
    figures, _ = reported([*lines, decision("2026-11-04")])
    assert figures["silent"].rows == (("orderStatin", SERVICE, 3, 2, 75.0),)


def test_percentiles_are_exact(reported):
    figures, _ = reported([decision("2026-11-02", durationMs=float(ms)) for ms in range(1, 101)])
    [one] = rows(figures, "latency")
    assert (one["p50"], one["p90"], one["p95"], one["max"]) == (50.5, 90.1, 95.0, 100.0)


def test_nothing_is_fetched_to_read_logs(tmp_path):
    """The embedded engine would otherwise look for extensions when a query names one."""
    file = tmp_path / "log"
    file.write_bytes(text(LINES))
    with open_events([str(file)], ReportWindow()) as connection:
        settings = "autoinstall_known_extensions", "autoload_known_extensions"
        values = [
            connection.execute(f"SELECT current_setting('{name}')").fetchone() for name in settings
        ]
    assert values == [(False,), (False,)]
