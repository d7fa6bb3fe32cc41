"""What an operator sees: metrics of all workers, dashboards and alerts that name what there is."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from itertools import combinations
from pathlib import Path

import pytest
import requests
from conformance.serving import free_port, sample

KILLED = "after it refused to gracefully stop"  # in the server's own log
DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
PROMETHEUS = DEPLOY / "prometheus"
OURS = re.compile(r"\bcobalamin_[a-z0-9_]+")
PROMTOOL = os.environ.get("PROMTOOL") or shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")


def panels():
    for file in DASHBOARDS:
        for panel in json.loads(file.read_text())["panels"]:
            yield file.stem, panel


def expressions():
    """Every expression of the dashboards."""
    for _name, panel in panels():
        yield from (target["expr"] for target in panel.get("targets", ()))


def promtool(*arguments):
    run = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def exercised(deployed):
    """Every kind of thing happens once."""
    [card] = deployed.call(deployed.north).json()["cards"]
    prefetch = sample("neuropathy")["prefetch"]
    prefetch.pop("conditions")
    server = f"{deployed.north.jku.removesuffix('/jwks')}"
    asked = deployed.call(deployed.north, prefetch=prefetch, fhirServer=server)
    assert asked.status_code == 200
    deployed.call(deployed.north, "untested", prefetch=prefetch | {"observations": None})
    quiet = sample("folic-acid")
    quiet["context"]["draftOrders"]["entry"] = []
    deployed.call(deployed.north, "folic-acid", context=quiet["context"])
    item = {"card": card["uuid"], "outcome": "overridden"}
    item["outcomeTimestamp"] = "2026-11-20T10:05:31Z"
    path = "/cds-services/b12-muscle-patient-view/feedback"
    assert deployed.post(deployed.north, path, {"feedback": [item]}).status_code == 200
    assert requests.get(deployed.url("/cds-services"), timeout=60).status_code == 401


def test_dashboards_and_alerts_name_what_a_scrape_has(deployed):
    exercised(deployed)
    there = set(OURS.findall(deployed.text()))
    named = {name for one in expressions() for name in OURS.findall(one)}
    for file in ("alerts.yml", "no_calls.yml"):
        named |= set(OURS.findall(re.sub(r"name: \S+", "", (PROMETHEUS / file).read_text())))
    assert len(named) > 20
    assert named - there == set()
    labels = set(re.findall(r"[{,]([a-z_0-9]+)=", deployed.text())) | {"instance", "job"}
    used = {
        n
        for one in expressions()
        for by in re.findall(r"by \(([^)]*)\)", one)
        for n in re.split(r",\s*", by)
    }
    assert used - labels == set()


def test_tenants_are_kept_apart(deployed):
    north = deployed.total("cobalamin_requests_total", tenant="north", endpoint="call")
    south = deployed.total("cobalamin_requests_total", tenant="south", endpoint="call")
    assert deployed.call(deployed.south).status_code == 200
    assert deployed.total("cobalamin_requests_total", tenant="north", endpoint="call") == north
    assert deployed.total("cobalamin_requests_total", tenant="south", endpoint="call") == south + 1
    assert deployed.total("cobalamin_cards_total", tenant="south", topic="b12Deficient") == 1


def test_metrics_are_not_shown_where_ehrs_call(deployed):
    assert requests.get(deployed.url("/metrics"), timeout=60).status_code == 404
    found = requests.get(deployed.url("/health/ready"), timeout=60).json()
    assert (found["status"], found["tenants"]) == ("ready", 2)
    assert "north" not in str(found)


def test_no_value_goes_backwards_when_a_worker_is_killed(deployed):
    for _ in range(8):
        assert deployed.call(deployed.north).status_code == 200
    before = deployed.scraped()
    starts = deployed.total("cobalamin_worker_starts_total")
    os.kill(deployed.workers()[0], signal.SIGKILL)
    deployed.wait_for(lambda: deployed.total("cobalamin_worker_starts_total") > starts)
    deployed.wait_for(lambda: deployed.scraped().get("cobalamin_workers") == 2)
    after = deployed.scraped()
    counts = [name for name in before if re.search(r"_(total|bucket|count|sum)(\{|$)", name)]
    assert len(counts) > 100
    assert [name for name in counts if after.get(name, 0) < before[name]] == []


def test_the_probe_beside_the_metrics_names_who_is_degraded(deployed, hospital_server):
    """The key set was had; a worker that starts without it says so, and to whom."""
    url = f"http://127.0.0.1:{deployed.metrics_port}/health/ready"
    deployed.wait_for(lambda: requests.get(url, timeout=60).json() == {"status": "ready"})
    jwks = hospital_server.found.pop("jwks")
    os.kill(deployed.workers()[0], signal.SIGKILL)
    degraded = {"status": "ready", "degraded": {"north": ["keys"]}}
    deployed.wait_for(lambda: requests.get(url, timeout=60).json() == degraded)
    hospital_server.found["jwks"] = jwks
    assert requests.get(deployed.url("/health/ready"), timeout=60).status_code == 200


def test_a_body_that_does_not_come_is_counted_and_logged(deployed):
    with socket.create_connection(("127.0.0.1", deployed.port), 10) as client:
        client.sendall(
            b"POST /cds-services/b12-muscle-patient-view HTTP/1.1\r\n"
            b"Host: cds\r\nContent-Length: 10\r\n\r\n{"
        )
        assert client.recv(100).startswith(b"HTTP/1.1 408")
    assert deployed.total("cobalamin_requests_total", status="408") == 1
    assert [line["reason"] for line in deployed.lines() if line.get("status") == 408] == [
        "BodyTooSlow"
    ]


def test_each_worker_says_that_it_stops(deployed):
    deployed.wait_for(lambda: deployed.scraped().get("cobalamin_workers") == 2)
    workers = set(deployed.workers())
    deployed.stop()
    stopped = [line for line in deployed.lines() if line["event"] == "stop"]
    # On a machine too busy for a worker to end within the server's ten seconds, it is killed.
    killed = (deployed.folder / "errors").read_text().count(KILLED)
    processes = {line["process"] for line in stopped}
    assert processes <= workers
    assert len(workers - processes) == killed
    assert all(line["upSeconds"] >= 0 for line in stopped)


def started(folder, configuration=None):
    """What `serve` says on standard error until it serves, or ends, and whether it serves."""
    port = free_port()
    command = [Path(sys.executable).with_name("cobalamin"), "serve", "--port", str(port)]
    command += ["--workers", "1"]
    if configuration is not None:
        (folder / "cobalamin.toml").write_text(configuration)
        command += ["--config", "cobalamin.toml"]
    environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state"), "COLUMNS": "300"}
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        serves = False
        while process.poll() is None and not serves:
            time.sleep(0.05)
            with suppress(requests.ConnectionError):
                serves = requests.get(f"http://127.0.0.1:{port}/health/live", timeout=60).ok
        process.terminate()
        return process.stderr.read().decode(), serves


@pytest.fixture
def taken():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def test_a_chosen_address_that_is_taken_stops_the_start(tmp_path, taken):
    said, serves = started(tmp_path, f"[metrics]\nport = {taken}\n")
    assert not serves
    assert "metrics: http://127.0.0.1" in said
    assert "cannot be used: Address already in use" in said


def test_without_metrics_the_service_serves(tmp_path):
    said, serves = started(tmp_path, "[metrics]\nenabled = false\n")
    assert serves
    assert "Metrics" not in said


def test_workers_of_another_server_are_shown_by_an_application_of_its_own(tmp_path, monkeypatch):
    from importlib.util import module_from_spec, spec_from_file_location

    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    spec = spec_from_file_location("metrics_of_deploy", DEPLOY / "metrics.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    begun = []
    asked = {"REQUEST_METHOD": "GET", "PATH_INFO": "/metrics"}
    body = b"".join(module.app(asked, lambda status, _headers: begun.append(status)))
    assert begun == ["200 OK"]
    assert b"cobalamin_main_process_resident_memory_bytes" in body


def test_an_address_that_nobody_chose_may_be_taken(monkeypatch):
    """By another service of this machine: this one goes without, and says so."""
    from cds_hooks.config.settings import MetricsAddress, Settings
    from cds_hooks.web.server import open_metrics_page

    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        page = MetricsAddress(port=holder.getsockname()[1])
        said = []
        with open_metrics_page(Settings(metrics=page), said.append):
            assert "Metrics are not shown" in said[0]


def test_panels_have_their_own_places():
    assert [file.stem for file in DASHBOARDS] == ["attention", "service"]
    by_file = {}
    for name, panel in panels():
        by_file.setdefault(name, []).append(panel)
    for held in by_file.values():
        assert len({panel["id"] for panel in held}) == len(held)
        for one, other in combinations([panel["gridPos"] for panel in held], 2):
            apart = (
                one["x"] + one["w"] <= other["x"]
                or other["x"] + other["w"] <= one["x"]
                or one["y"] + one["h"] <= other["y"]
                or other["y"] + other["h"] <= one["y"]
            )
            assert apart, (one, other)
        assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in held)


@needs_promtool
def test_prometheus_takes_its_files_and_the_alerts_do_what_their_tests_say():
    promtool("check", "config", str(PROMETHEUS / "prometheus.yml"))
    promtool("check", "rules", str(PROMETHEUS / "alerts.yml"), str(PROMETHEUS / "no_calls.yml"))
    promtool("test", "rules", str(PROMETHEUS / "alerts_test.yml"))


@needs_promtool
def test_every_expression_of_a_dashboard_is_promql(tmp_path):
    plain = [
        one.replace("$__rate_interval", "1m").replace("$__range", "1h") for one in expressions()
    ]
    rules = [{"record": f"panel_{place}", "expr": one} for place, one in enumerate(plain)]
    file = tmp_path / "panels.yml"  # JSON is YAML
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", str(file))


def test_every_alert_leads_to_a_place_in_its_book():
    text = (PROMETHEUS / "alerts.yml").read_text() + (PROMETHEUS / "no_calls.yml").read_text()
    alerts = re.findall(r"- alert: (\S+)", text)
    assert len(alerts) == len(set(alerts)) == 18
    for name in ("summary:", "description:", "severity:", "runbook_url: deploy/README.md#"):
        assert text.count(name) == len(alerts)
    book = DEPLOY / "README.md"
    if book.exists():
        headings = re.findall(r"^#+ (.+)$", book.read_text(), re.MULTILINE)
        places = {re.sub(r"[^a-z0-9 -]", "", one.lower()).replace(" ", "-") for one in headings}
        assert set(re.findall(r"README\.md#(\S+)", text)) - places == set()
    tested = (PROMETHEUS / "alerts_test.yml").read_text()
    assert [name for name in alerts if name not in tested] == []
