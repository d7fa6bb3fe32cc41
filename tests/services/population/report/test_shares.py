"""Shares and their intervals, beside published tables and another computation."""

import math
import random
from collections import defaultdict

import duckdb
import pytest
from tables import cases

from services.population.report.table import build_share_query, list_macros


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
    for statement in list_macros(weighted=False):
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
    for statement in list_macros(weighted=True):
        connection.execute(statement)
    [found] = connection.execute("SELECT student(?)", [int(case["degrees of freedom"])]).fetchone()
    assert found == pytest.approx(float(case["t"]), rel=0.01)


def taylor(people):
    """The share of `low` among people of 60 and over, and its standard error, in plain Python.

    Whoever is outside of that part still belongs to the design.
    """
    total = sum(weight for *_, weight, age, _low in people if age >= 60)
    share = sum(weight for *_, weight, age, low in people if age >= 60 and low) / total
    sums = defaultdict(lambda: defaultdict(float))
    for _, stratum, unit, weight, age, low in people:
        sums[stratum][unit] += weight * (low - share) / total if age >= 60 else 0.0
    variance = 0.0
    for units in sums.values():
        mean = sum(units.values()) / len(units)
        variance += len(units) / (len(units) - 1) * sum((z - mean) ** 2 for z in units.values())
    return 100 * share, 100 * math.sqrt(variance)


def test_a_part_of_a_survey_has_the_intervals_of_its_design(connection):
    chance = random.Random(5)
    people = [
        (
            str(n),
            f"s{chance.randint(1, 14)}",
            f"u{chance.randint(1, 2)}",
            chance.uniform(1, 4000),
            chance.randint(20, 85),
            chance.random() < 0.2,
        )
        for n in range(600)
    ]
    connection.executemany(
        "INSERT INTO survey (patient, stratum, unit, weight, age, low) VALUES (?, ?, ?, ?, ?, ?)",
        people,
    )
    for statement in list_macros(weighted=True):
        connection.execute(statement)
    columns, inside = "patient, weight, stratum, unit", "FROM survey WHERE age >= 60"
    query = build_share_query(
        f"SELECT {columns} {inside}", f"SELECT {columns}, low {inside}", [], ["low"], weighted=True
    )
    [found] = [row[1:] for row in connection.execute(query).fetchall() if row[0]]
    share, error = taylor(people)
    half = 2.1448 * error  # Student's t for 28 units less 14 strata
    assert found[:2] == (
        sum(low for *_, age, low in people if age >= 60),
        sum(age >= 60 for *_, age, _low in people),
    )
    assert found[3:] == pytest.approx((share, share - half, share + half), abs=0.011)


def test_everybody_alike_has_no_interval_but_a_share(connection):
    connection.execute(
        "INSERT INTO survey SELECT k::VARCHAR, 2, 's', (k % 4)::VARCHAR, 30, true FROM range(40) t(k)"
    )
    for statement in list_macros(weighted=True):
        connection.execute(statement)
    query = build_share_query(
        "SELECT * FROM survey", "SELECT * FROM survey", [], ["low"], weighted=True
    )
    assert connection.execute(query).fetchall() == [(True, 40, 40, 100.0, 100.0, 100.0, 100.0)]
