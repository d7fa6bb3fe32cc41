"""Each benchmark still runs, in small; what it measures is for a quiet machine."""

import socket
import threading

import pytest
from tables import cases

from benchmarks import chart, client, growth, served, slow_fhir, soak, start
from benchmarks.processes import Held

pytestmark = pytest.mark.slow


@pytest.fixture
def echo():
    """Answers each request with its own path, in two pieces."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve(connection):
            with connection:
                while asked := connection.recv(65536):
                    path = asked.split(b" ")[1]
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(path))
                    connection.sendall(path)

        def accept():
            for _ in range(3):
                threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]


def test_every_request_is_sent_once_and_answered(echo):
    requests = [client.request(f"/{number}", b"") for number in range(40)]
    answers = client.closed(echo, requests, 3)
    assert sorted(one.body for one in answers) == sorted(b"/%d" % n for n in range(40))


def test_a_connection_that_ends_is_an_answer_that_failed():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up():
            connection, _address = server.accept()
            connection.close()

        threading.Thread(target=hang_up, daemon=True).start()
        answers = client.closed(server.getsockname()[1], [client.request("/", b"")], 1)
    assert [one.status for one in answers] == [0]


def test_the_service_is_compared(capsys, tmp_path):
    file, drawing = tmp_path / "rows.json", tmp_path / "chart.svg"
    arguments = ["--rounds", "1", "--seconds", "0.05", "--no-peer"]
    arguments += ["--sizes", "2000", "--concurrency", "2"]
    served.main([*arguments, "--json", str(file), "--chart", str(drawing)])
    told = capsys.readouterr().out
    for name in ("ours, ES384", "ours, RS384", "bare Flask", "plain server"):
        assert f"| 2 | 2 | {name} |" in told
        assert name in file.read_text()
        assert name in drawing.read_text()


def test_a_slow_fhir_server_is_asked_once_for_each_call(capsys):
    slow_fhir.main(["--seconds", "0.2", "--delay", "0.02"])
    told = capsys.readouterr().out
    assert "| 10 | 20 |" in told
    assert "| 0 |\nfetches: {'ok': 42}" in told


def test_a_short_soak_fails_no_call(capsys):
    assert soak.main(["--minutes", "0.02", "--most-mb", "500", "--most-handles", "500"]) == 0
    assert "no growth, no failure" in capsys.readouterr().out


@cases("""
    MB an hour | files an hour | failed | fault
    -----------|---------------|--------|------
    0          | 0             | 0      |
    60         | 0             | 0      | MB grew
    0          | 60            | 0      | files grew
    0          | 0             | 1      | 1 failed
""")
def test_a_soak_finds(case):
    held = soak.Soak()
    for minute in range(30):
        mb, files = (float(case[f"{name} an hour"]) * minute / 60 for name in ("MB", "files"))
        held.samples.append(soak.Sample(minute, Held(100 + mb, (), int(100 + files), 9)))
    held.statuses["call", 500] = int(case["failed"])
    found = [*soak.faults(held, 10, 10)]
    assert [one[: len(case["fault"])] for one in found] == (
        [case["fault"]] if case["fault"] else []
    )


def test_growth_is_told_for_tenants_and_codes(capsys):
    growth.main(["--rounds", "1", "--calls", "2", "--tenants", "1"])
    told = capsys.readouterr().out
    assert "| 1 tenant, today's codes |" in told
    assert "| 1 tenant, 10 times the codes |" in told


def test_a_start_is_timed(capsys):
    start.main(["--times", "1", "--workers", "1"])
    told = capsys.readouterr().out
    assert "| 1 | " in told


def test_a_chart_names_every_server_that_was_measured():
    rows = [
        {"server": name, "concurrency": 8, "bytes": 2000, "cpu_us": 10, "calls_per_second": 5}
        for name in chart.ORDER
    ]
    drawn = chart.drawn(rows)
    assert all(name in drawn for name in chart.ORDER)
