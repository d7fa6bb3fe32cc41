"""Results by the limit that they were compared with, as the rules' own evidence has them."""

from collections.abc import Iterator

from services.population.report.gathered import Gathered
from services.population.report.prevalence import FIRST_B12, FIRST_MUSCLE
from services.population.report.shares import shares
from services.population.report.table import Table
from services.report.figure import Figure

COMMON = '"rule": e."rule", measured_in: coalesce(e.unit, \'\')'
# What is said of a result stands without the particulars of the person behind it.
COMPARED = r"""says: regexp_replace(e.says, ' \(.*\)$', ''), "limit": coalesce(e."limit", '')"""


def tables(run: Gathered) -> Iterator[Table]:
    for axis, title, own, first in (
        ("b12", "vitamin B12", "b12_guideline", FIRST_B12),
        ("muscle", "muscle", "muscle_definition", FIRST_MUSCLE),
    ):
        query = shares(
            _results(run, axis, own, first, COMMON),
            _results(run, axis, own, first, f"{COMMON}, {COMPARED}"),
            ["guideline", "rule", "measured_in"],
            ["says", '"limit"'],
            weighted=run.weighted,
        )
        yield Table(
            Figure(
                f"{axis}_limits",
                f"Results by limit: {title}",
                "What a result was compared with, and what was said of it: of people in whom the "
                "rule noted one. Some rules note only what lies beyond a limit.",
                query,
            ),
            within=("guideline", "rule", "measured_in"),
        )


def _results(run: Gathered, axis: str, own: str, first: str, members: str) -> str:
    """Each kind of valued evidence of each person once."""
    valued = f"list_filter({axis}_evidence, lambda e: e.value IS NOT NULL)"
    return f"""
        SELECT patient{run.design}, {own} AS guideline, unnest(kind)
        FROM (SELECT patient{run.design}, {own}, unnest(list_distinct(list_transform(
                  {valued}, lambda e: {{{members}}}))) AS kind
              FROM judged WHERE primary_pair OR {own} <> {first})"""
