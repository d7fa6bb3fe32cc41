"""Truth tables of the four definitions. `*` is anything; the first row that fits says the category.

Every combination must be met by a row, and every row by a combination.
"""

from itertools import product

import pytest

from services.sarcopenia.stages import ALGORITHMS

LEVELS = ("low", "normal", "unknown")
SCREENS = ("positive", "negative", "none")
READ = ("yes", "no")  # whether everything measured could be read

TABLES = {
    "ewgsop2": """
        strength | mass    | performance | screen   | read | category
        ---------+---------+-------------+----------+------+---------------
        normal   | *       | *           | *        | *    | no_sarcopenia
        low      | low     | low         | *        | *    | severe
        low      | low     | *           | *        | *    | confirmed
        low      | *       | *           | *        | *    | probable
        unknown  | *       | *           | *        | no   | indeterminate
        unknown  | low     | *           | *        | *    | indeterminate
        unknown  | normal  | *           | *        | *    | indeterminate
        unknown  | unknown | low         | *        | *    | indeterminate
        unknown  | unknown | normal      | *        | *    | indeterminate
        unknown  | unknown | unknown     | positive | *    | find_positive
        unknown  | unknown | unknown     | negative | *    | find_negative
        unknown  | unknown | unknown     | none     | *    | not_assessed
    """,
    "awgs2019": """
        strength | mass    | performance | screen   | read | category
        ---------+---------+-------------+----------+------+-------------------
        low      | low     | low         | *        | *    | severe_sarcopenia
        low      | low     | *           | *        | *    | sarcopenia
        *        | low     | low         | *        | *    | sarcopenia
        low      | *       | *           | *        | *    | possible
        *        | *       | low         | *        | *    | possible
        normal   | *       | normal      | *        | *    | no_sarcopenia
        *        | *       | *           | *        | no   | indeterminate
        normal   | *       | unknown     | *        | *    | indeterminate
        unknown  | *       | normal      | *        | *    | indeterminate
        unknown  | low     | unknown     | *        | *    | indeterminate
        unknown  | normal  | unknown     | *        | *    | indeterminate
        unknown  | unknown | unknown     | positive | *    | screen_positive
        unknown  | unknown | unknown     | negative | *    | screen_negative
        unknown  | unknown | unknown     | none     | *    | not_assessed
    """,
    "sdoc2020": """
        strength | mass    | performance | screen   | read | category
        ---------+---------+-------------+----------+------+---------------
        normal   | *       | *           | *        | *    | no_sarcopenia
        *        | *       | normal      | *        | *    | no_sarcopenia
        low      | *       | low         | *        | *    | sarcopenia
        low      | *       | unknown     | *        | *    | indeterminate
        unknown  | *       | low         | *        | *    | indeterminate
        unknown  | *       | unknown     | *        | no   | indeterminate
        unknown  | *       | unknown     | *        | yes  | not_assessed
    """,
    "fnih2014": """
        strength | mass    | performance | screen   | read | category
        ---------+---------+-------------+----------+------+---------------
        normal   | *       | *           | *        | *    | no_sarcopenia
        *        | normal  | *           | *        | *    | no_sarcopenia
        low      | low     | *           | *        | *    | sarcopenia
        low      | unknown | *           | *        | *    | indeterminate
        unknown  | low     | *           | *        | *    | indeterminate
        unknown  | unknown | *           | *        | no   | indeterminate
        unknown  | unknown | *           | *        | yes  | not_assessed
    """,
}


def rows(table):
    lines = [line for line in table.strip().splitlines() if "|" in line][1:]
    return [tuple(cell.strip() for cell in line.split("|")) for line in lines]


@pytest.mark.parametrize("name", TABLES)
def test_the_truth_table(name):
    table, met = rows(TABLES[name]), set()
    for given in product(LEVELS, LEVELS, LEVELS, SCREENS, READ):
        row = next(
            row
            for row in table
            if all(cell in ("*", value) for cell, value in zip(row, given, strict=False))
        )
        met.add(row)
        strength, mass, performance, screen, read = given
        category = ALGORITHMS[name](
            strength, mass, performance, None if screen == "none" else screen, read == "no"
        )
        assert category == row[-1], given
    assert met == set(table)


def test_every_definition_has_its_algorithm_and_its_table():
    assert set(TABLES) == set(ALGORITHMS)
