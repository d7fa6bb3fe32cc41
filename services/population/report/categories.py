"""Categories as queries name them: their order, their sets, and what stands for the same."""

from collections.abc import Iterable, Mapping

from services.assessment.codes import B12Category, SarcopeniaCategory
from services.evaluation.combination import B12_MISSING_DATA
from services.reports.duckdb_tools import quote_text
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
NO_VERDICT = (B12_MISSING_DATA | LACKS_DATA | {"no-action", "out-of-scope", "out_of_scope_age"}) - {
    "indeterminate"
}
# From what asks for the most to what asks for nothing.
B12_ORDER = (
    B12Category.DEFICIENT,
    B12Category.DEFICIENT_FUNCTIONAL,
    B12Category.INDETERMINATE,
    B12Category.UNINTERPRETABLE,
    B12Category.ON_TREATMENT,
    B12Category.HIGH_B12,
    B12Category.UNLIKELY,
    B12Category.INSUFFICIENT_DATA,
    B12Category.AT_RISK_UNTESTED,
    B12Category.NO_ACTION,
    B12Category.OUT_OF_SCOPE,
)
MUSCLE_ORDER = (
    SarcopeniaCategory.SEVERE,
    SarcopeniaCategory.SEVERE_SARCOPENIA,
    SarcopeniaCategory.CONFIRMED,
    SarcopeniaCategory.SARCOPENIA,
    SarcopeniaCategory.PROBABLE,
    SarcopeniaCategory.POSSIBLE,
    SarcopeniaCategory.FIND_POSITIVE,
    SarcopeniaCategory.SCREEN_POSITIVE,
    SarcopeniaCategory.INDETERMINATE,
    SarcopeniaCategory.NO_SARCOPENIA,
    SarcopeniaCategory.FIND_NEGATIVE,
    SarcopeniaCategory.SCREEN_NEGATIVE,
    SarcopeniaCategory.NOT_ASSESSED,
    SarcopeniaCategory.OUT_OF_SCOPE_AGE,
)
URGENCIES = ("emergency", "urgent", "soon", "routine", "none")
INDICATORS = ("critical", "warning", "info")
# Only a result that was recent enough and readable is noted by this rule. `missing` would not do:
# it knows results of any age, and an old one decides nothing.
HAS_B12_RESULT = """len(list_filter(b12_evidence,
    lambda e: e."rule" = 'first-line-band' AND e.value IS NOT NULL)) > 0"""
HAS_MUSCLE_RESULT = "(strength <> 'unknown' OR mass <> 'unknown' OR performance <> 'unknown')"


def build_list(values: Iterable[str]) -> str:
    """A list of SQL."""
    return f"[{', '.join(map(quote_text, values))}]"


def build_order(values: Iterable[str], column: str) -> str:
    """What to sort `column` by so that its values come in this order."""
    return f"list_position({build_list(values)}, {column})"


def is_deficient(column: str) -> str:
    return f"list_contains({build_list(sorted(DEFICIENT))}, {column})"


def is_positive(column: str) -> str:
    """Probable or possible sarcopenia, or worse."""
    return f"list_contains({build_list(sorted(POSITIVE))}, {column})"


def is_confirmed(column: str) -> str:
    return f"list_contains({build_list(sorted(CONFIRMED))}, {column})"


def has_verdict(column: str) -> str:
    return f"NOT list_contains({build_list(sorted(NO_VERDICT))}, {column})"


def build_grade(column: str) -> str:
    """`column` by the grade that categories of different definitions share."""
    pairs = ", ".join(f"{quote_text(name)}: {quote_text(same)}" for name, same in GRADES.items())
    return f"coalesce(MAP {{{pairs}}}[{column}], {column})"


def is_same_grade(one: str, other: str) -> bool:
    """Whether two categories stand for the same grade."""
    return GRADES.get(one, one) == GRADES.get(other, other)
