"""Shares and their intervals, beside published tables and another computation."""

import math
import random

import duckdb
import pytest
from nhanes.reproduce import T95, estimate
from tables import cases

from services.population.report.shares import macros, shares


@pytest.fixture
def connection():
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE survey (patient VARCHAR, weight DOUBLE, stratum VARCHAR, unit VARCHAR, age INTEGER, low BOOLEAN)"
        )
        yield connection


@cases("""
    yes  | n    | low   | high
    -----+------+-------+-------
    0    | 10   | 0.0   | 27.75
    8    | 10   | 49.02 | 94.33
    10   | 10   | 72.25 | 100.0
    50   | 100  | 40.38 | 59.62
    1    | 1000 | 0.02  | 0.56
""")
def test_wilson(case, connection):
    for statement in macros(weighted=False):
        connection.execute(statement)
    yes, n = int(case["yes"]), int(case["n"])
    found = connection.execute(
        "SELECT wilson($yes, $n, -1), wilson($yes, $n, 1)", {"yes": yes, "n": n}
    ).fetchone()
    assert found == pytest.approx((float(case["low"]), float(case["high"])), abs=0.006)


@cases("""
    degrees of freedom | t
    -------------------+--------
    1                  | 12.706
    2                  | 4.303
    3                  | 3.182
    5                  | 2.571
    10                 | 2.228
    30                 | 2.042
    120                | 1.980
""")
def test_student(case, connection):
    for statement in macros(weighted=True):
        connection.execute(statement)
    [found] = connection.execute("SELECT student(?)", [int(case["degrees of freedom"])]).fetchone()
    assert found == pytest.approx(float(case["t"]), rel=0.01)


def test_a_survey_is_estimated_as_elsewhere(connection):
    """The domain is a part of the survey; whoever is outside still belongs to its design."""
    chance = random.Random(5)
    people = [
        {
            "person_id": str(number),
            "wt_mec_2yr": str(chance.randint(0, 4000)),
            "cycle_letter": "G",
            "sdmvstra": str(chance.randint(90, 103)),
            "sdmvpsu": str(chance.randint(1, 2)),
            "age": chance.randint(20, 85),
            "low": chance.random() < 0.2,
        }
        for number in range(600)
    ]
    connection.executemany(
        "INSERT INTO survey VALUES (?, ?, ?, ?, ?, ?)",
        [
            (p["person_id"], p["wt_mec_2yr"], p["sdmvstra"], p["sdmvpsu"], p["age"], p["low"])
            for p in people
            if p["wt_mec_2yr"] != "0"
        ],
    )
    for statement in macros(weighted=True):
        connection.execute(statement)
    columns = "patient, weight, stratum, unit"
    inside = "FROM survey WHERE age >= 60"
    query = shares(
        f"SELECT {columns} {inside}",
        f"SELECT {columns}, low {inside}",
        [],
        ["low"],
        weighted=True,
    )
    low = {row[0]: row[1:] for row in connection.execute(query).fetchall()}[True]
    n, share, from_, to = estimate(
        people, lambda p: p["age"] >= 60, {p["person_id"]: p["low"] for p in people}.get
    )
    count, of, _plain, weighted, below, above = low
    assert of == n
    assert weighted == pytest.approx(share, abs=0.006)
    [df] = connection.execute(
        f"SELECT count(DISTINCT (stratum, unit)) - count(DISTINCT stratum) {inside}"
    ).fetchone()
    [t] = connection.execute("SELECT student(?)", [df]).fetchone()
    half = (to - from_) / 2 / T95 * t
    assert (below, above) == pytest.approx((share - half, share + half), abs=0.011)
    assert 0 < count < of
    assert math.isfinite(below)


def test_everybody_alike_has_no_interval_but_a_share(connection):
    connection.execute(
        "INSERT INTO survey SELECT k::VARCHAR, 2, 's', (k % 4)::VARCHAR, 30, true FROM range(40) t(k)"
    )
    for statement in macros(weighted=True):
        connection.execute(statement)
    query = shares("SELECT * FROM survey", "SELECT * FROM survey", [], ["low"], weighted=True)
    assert connection.execute(query).fetchall() == [(True, 40, 40, 100.0, 100.0, 100.0, 100.0)]
