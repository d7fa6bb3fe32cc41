"""Categories as queries name them: their order, their sets, and what stands for the same."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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


def build_list(values: Iterable[str]) -> str:
    """A list of SQL."""
    return f"[{', '.join(map(quote_text, values))}]"


def build_order(values: Iterable[str], column: str) -> str:
    """What to sort `column` by so that its values come in this order."""
    return f"list_position({build_list(values)}, {column})"


def is_one_of(values: Iterable[str], column: str) -> str:
    """The condition that `column` holds one of `values`."""
    return f"list_contains({build_list(sorted(values))}, {column})"


def has_verdict(column: str) -> str:
    return f"NOT {is_one_of(NO_VERDICT, column)}"


def build_grade(column: str) -> str:
    """`column` by the grade that categories of different definitions share."""
    pairs = ", ".join(f"{quote_text(name)}: {quote_text(same)}" for name, same in GRADES.items())
    return f"coalesce(MAP {{{pairs}}}[{column}], {column})"


def is_same_grade(category: str, other: str) -> bool:
    """Whether two categories stand for the same grade."""
    return GRADES.get(category, category) == GRADES.get(other, other)


@dataclass(frozen=True, slots=True)
class ReportTopic:
    """What the tables of a report need of one topic."""

    id: str  # "sarcopenia": in run.json
    prefix: str  # "muscle": of its columns and of the names of its tables
    publication: str  # "definition": the kind of publication that judges it
    name: str  # "vitamin B12"
    short_name: str  # "B12"
    order: tuple[str, ...]  # of its categories
    has_result: str  # condition: a recent result is on record
    result: str  # the same in words
    finding: str  # the finding drawn by age and sex, in words
    positive: frozenset[str]  # the categories that are this finding
    tile: str  # how many have it, as a heading
    summary: str  # how many were measured and how many have it, as sentences
    # What two publications may agree on, as an expression on each of the pair "first" and "other";
    # the first question is that of the finding.
    questions: Mapping[str, str]

    @property
    def title(self) -> str:
        return self.name[:1].upper() + self.name[1:]

    @property
    def publication_column(self) -> str:
        return f"{self.prefix}_{self.publication}"

    @property
    def first_publication(self) -> str:
        """The publication that all others are compared with: a query."""
        return f"(SELECT {self.publication_column} FROM person LIMIT 1)"


VITAMIN_B12 = ReportTopic(
    id="b12",
    prefix="b12",
    publication="guideline",
    name="vitamin B12",
    short_name="B12",
    order=B12_ORDER,
    # Only a result that was recent enough and readable is noted by this rule. `missing` would not
    # do: it knows results of any age, and an old one decides nothing.
    has_result="""len(list_filter(b12_evidence,
    lambda e: e."rule" = 'first-line-band' AND e.value IS NOT NULL)) > 0""",
    result="a B12 result that is recent enough to judge by",
    finding="B12 deficient, of either kind",
    positive=frozenset(DEFICIENT),
    tile="B12 deficient, of the tested",
    summary="A B12 result recent enough to judge by is on record of {measured}. Of these, {found} are deficient, in level or in function, by {publication}.",
    questions={
        "deficient, of either kind": is_one_of(DEFICIENT, '"{} says"'),
        "the same category": '"{} says"',
        "the same tier": '"{} tier"',
    },
)
MUSCLE = ReportTopic(
    id="sarcopenia",
    prefix="muscle",
    publication="definition",
    name="muscle",
    short_name="muscle",
    order=MUSCLE_ORDER,
    has_result="(strength <> 'unknown' OR mass <> 'unknown' OR performance <> 'unknown')",
    result="a recent result of strength, mass or performance",
    finding="Probable or possible sarcopenia, or worse",
    positive=frozenset(POSITIVE),
    tile="probable sarcopenia or worse, of the measured",
    summary="Strength, muscle mass or performance was measured in {measured}. Of these, {found} have probable or possible sarcopenia or worse, by {publication}.",
    questions={
        "probable or possible sarcopenia, or worse": is_one_of(POSITIVE, '"{} says"'),
        "sarcopenia, or worse": is_one_of(CONFIRMED, '"{} says"'),
        "the same grade": '"{} grade"',
        "the same tier": '"{} tier"',
    },
)
TOPICS = {topic.prefix: topic for topic in (VITAMIN_B12, MUSCLE)}
