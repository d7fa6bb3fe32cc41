"""Probes: whether a worker is fit, told cheaply, and without a word about who is served."""

from dataclasses import replace

import pytest
from observed_service import Watched

from cds_hooks.records.spool import Spool
from cds_hooks.records.store import RecordsUnavailableError
from cds_hooks.security.key_sets import Freshness
from cds_hooks.web.readiness import Readiness


class Keys:
    def __init__(self, freshness):
        self.freshness = freshness


class Database:
    """Records that are up or down, and count how often they are asked."""

    spool = None

    def __init__(self):
        self.is_down = False
        self.asked = 0

    def check(self):
        self.asked += 1
        if self.is_down:
            raise RecordsUnavailableError("OperationalError")


@pytest.fixture
def database():
    return Database()


def test_a_second_of_probes_costs_one_look(database):
    now = [0.0]
    readiness = Readiness(database, {}, 1, now=lambda: now[0])
    for _ in range(100):
        assert readiness.get_report().is_ready
    assert database.asked == 1
    database.is_down = True
    now[0] = 1.0
    assert not readiness.get_report().is_ready
    assert database.asked == 2


def test_with_a_spool_a_database_that_is_down_keeps_nobody_out(database, tmp_path):
    database.is_down, database.spool = True, Spool(tmp_path)
    found = Readiness(database, {}, 1).get_report()
    assert found.is_ready
    assert found.as_json("1")["records"] == "spooled"


@pytest.mark.parametrize("freshness", Freshness)
def test_a_tenant_without_keys_is_degraded_and_the_others_are_served(database, freshness):
    keys = {"north": Keys(freshness), "south": Keys(Freshness.FRESH)}
    found = Readiness(database, keys, 2).get_report()
    assert found.is_ready
    said = found.as_json("1")
    assert said.get("degradedTenants", 0) == (not freshness.is_healthy)
    assert "north" not in str(said)


def test_a_golden_call_that_differs_makes_a_worker_unfit(tmp_path):
    watched = Watched(tmp_path, failed_calls=["golden/leber"])
    answer = watched.client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json["differs"] == ["golden/leber"]
    assert watched.client.get("/health/live").status_code == 200
    watched.records.close()


def test_a_worker_that_is_fit_says_so(tmp_path):
    watched = Watched(tmp_path)
    said = {"status": "ready", "version": "1.2.3", "records": "ok", "knowledge": "ok", "tenants": 1}
    assert watched.client.get("/health/ready").json == said
    watched.records.close()


def test_a_database_that_is_down_is_named_by_its_kind(tmp_path, database):
    database.is_down = True
    watched = Watched(tmp_path)
    readiness = Readiness(database, {}, 1)
    found = replace(watched.context, readiness=readiness).readiness.get_report()
    assert found.as_json("1") == {
        "status": "not ready", "version": "1", "records": "OperationalError",
        "knowledge": "ok", "tenants": 1,
    }  # fmt: skip
    watched.records.close()
