"""Categories as queries name them: their order, their sets, and what stands for the same."""

from collections.abc import Iterable, Mapping

from services.evaluation.combination import B12_LACKS_DATA
from services.reports.duckdb_tools import quoted
from services.sarcopenia.outcome import CONFIRMED, LACKS_DATA, POSITIVE
from services.vitamin_b12.outcome import DEFICIENT

# Categories of different definitions that stand for the same grade.
GRADES: Mapping[str, str] = {
    "severe_sarcopenia": "severe",
    "sarcopenia": "confirmed",
    "possible": "probable",
    "screen_positive": "find_positive",
    "screen_negative": "find_negative",
}
WITHOUT_A_VERDICT = (
    B12_LACKS_DATA | LACKS_DATA | {"no-action", "out-of-scope", "out_of_scope_age"}
) - {"indeterminate"}
URGENCIES = ("emergency", "urgent", "soon", "routine", "none")
INDICATORS = ("critical", "warning", "info")
# Only a result that was recent enough and readable is noted by this rule. `missing` would not do:
# it knows results of any age, and an old one decides nothing.
TESTED = """len(list_filter(b12_evidence,
    lambda e: e."rule" = 'first-line-band' AND e.value IS NOT NULL)) > 0"""
MEASURED = "(strength <> 'unknown' OR mass <> 'unknown' OR performance <> 'unknown')"


def listed(values: Iterable[str]) -> str:
    """A list of SQL."""
    return f"[{', '.join(map(quoted, values))}]"


def in_order(values: Iterable[str], column: str) -> str:
    """What to sort `column` by so that its values come in this order."""
    return f"list_position({listed(values)}, {column})"


def is_deficient(column: str) -> str:
    return f"list_contains({listed(sorted(DEFICIENT))}, {column})"


def is_positive(column: str) -> str:
    """Probable or possible sarcopenia, or worse."""
    return f"list_contains({listed(sorted(POSITIVE))}, {column})"


def is_confirmed(column: str) -> str:
    return f"list_contains({listed(sorted(CONFIRMED))}, {column})"


def has_verdict(column: str) -> str:
    return f"NOT list_contains({listed(sorted(WITHOUT_A_VERDICT))}, {column})"


def grade(column: str) -> str:
    """`column` by the grade that categories of different definitions share."""
    pairs = ", ".join(f"{quoted(name)}: {quoted(same)}" for name, same in GRADES.items())
    return f"coalesce(MAP {{{pairs}}}[{column}], {column})"


def same(one: str, other: str) -> bool:
    """Whether two categories stand for the same grade."""
    return GRADES.get(one, one) == GRADES.get(other, other)
