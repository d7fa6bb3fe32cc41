"""Two replicas on one PostgreSQL: either may die, and so may the database for a while."""

import time

import psycopg
import pytest
from postgresql import postgresql_server

from cds_hooks.records.store import compute_lock_id
from faults.callers import at_once, connected
from faults.conftest import SPOOL
from faults.load import Load, Tally, once
from faults.recorded import drained, figures
from faults.replicas import connections_cut, replicas


@pytest.fixture(scope="module")
def server():
    with postgresql_server() as one:
        yield one


@pytest.fixture
def url(server):
    """Of an empty database."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return server.url


def test_one_is_killed_under_load(folder, url):
    with (
        replicas(folder, url) as two,
        Load(*two.ports, token=two.hospital.token) as load,
    ):
        load.wait_for(60)
        two.both[0].kill()
        load.wait_for(60)
        two.both[0].start()
        load.wait_for(60)
        two.both[1].kill()
        load.wait_for(60)
    found = figures(url, load.tally, two.key, "north")
    assert found.is_sound, found
    assert found.refused == 0
    assert found.recorded <= found.answered + found.unanswered


def test_a_token_on_both_at_the_same_instant(folder, url):
    tally = Tally()
    with (
        replicas(folder, url) as two,
        connected(two.ports * 3, tally, two.hospital.token) as callers,
    ):
        found = at_once(callers, [two.hospital.token() for _ in range(40)])
    assert found == [{200: 1, 401: 5}] * 40
    assert figures(url, tally, two.key, "north").is_sound


@pytest.mark.parametrize("policy", ["", SPOOL], ids=["refuse", "spool"])
def test_the_database_is_stopped_and_started(folder, server, url, policy):
    used = []
    with (
        replicas(folder, url, policy) as two,
        Load(*two.ports, token=two.hospital.token) as load,
    ):
        load.wait_for(40)
        server.stop()
        try:
            load.wait_for_each()  # what was under way has ended
            before = len(load.tally.answered)
            used.append(two.hospital.token())
            status = once(two.ports[0], used[0])
            load.wait_for_each(4)
            meanwhile = len(load.tally.answered) - before
        finally:
            server.start()
        load.wait_for(40)
        load.stop()
        for one in two.both:
            drained(one.folder / "spool")
        replayed = {once(port, used[0]) for port in two.ports * 3}
    found = figures(url, load.tally, two.key, "north")
    assert found.is_sound, found
    if policy:
        assert (status, found.refused) == (200, 0)
        assert meanwhile > 20
        assert replayed == {401}  # on the other replica too, now that it knows
    else:
        assert (status, meanwhile) == (503, 0)
        assert found.recorded <= found.answered + found.refused
        assert replayed == {200, 401}  # refused before it was used; then used once


def test_connections_are_cut_at_any_moment(folder, url):
    """Between a commit and its acknowledgement too: what is there is not kept twice."""
    with (
        replicas(folder, url, SPOOL) as two,
        Load(*two.ports, token=two.hospital.token) as load,
    ):
        load.wait_for(20)
        with connections_cut(url):
            time.sleep(2)
        load.wait_for(20)
        load.stop()
        for one in two.both:
            drained(one.folder / "spool")
    found = figures(url, load.tally, two.key, "north")
    assert found.is_sound, found
    assert not found.unanswered
    assert not found.refused


def test_a_lock_that_somebody_holds_makes_no_call_wait_long(folder, url):
    """As a replica would that froze in the middle of a record."""
    with replicas(folder, url) as two, psycopg.connect(url) as holder:
        assert once(two.ports[0], two.hospital.token()) == 200
        holder.execute("SELECT pg_advisory_xact_lock(%s)", (compute_lock_id("north"),))
        began = time.monotonic()
        assert once(two.ports[0], two.hospital.token()) == 503
        assert once(two.ports[1], two.hospital.token()) == 503
        assert time.monotonic() - began < 20
        holder.rollback()
        assert once(two.ports[0], two.hospital.token()) == 200
