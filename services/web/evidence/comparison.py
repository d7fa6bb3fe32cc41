"""Guidelines beside each other: the same measure, and what each says of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from mappings.publications.cutoffs import Cutoff, CutoffTable
from mappings.publications.definition import Definition
from mappings.publications.guideline import Guideline
from services.knowledge.site import SiteKnowledge
from services.web.chart_data import Axis, Plot, Series, Tone
from services.web.evidence.guideline_json import build_limit_document

CHARTED_OBSERVATION = "total_b12"
CHARTED_UNIT = "ng/L"  # in which every shipped guideline prints its limits for total B12
TONES: dict[str, Tone] = {
    "deficient": "bad",
    "indeterminate": "watch",
    "unlikely": "good",
    "high": "plain",
}
TOP_MARGIN = 1.15  # how far a chart goes beyond the highest limit


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One measure in one unit; `cells` holds the limits of each publication, in its order."""

    observation: str
    unit: str
    sex: str | None
    method: str | None
    cells: tuple[tuple[Cutoff, ...], ...]


def build_rows(publications: Sequence[Guideline | Definition]) -> tuple[ComparisonRow, ...]:
    """Every measure that some publication has a limit for, in the order of their files."""
    keys = dict.fromkeys(_make_key(row) for one in publications for row in one.cutoffs)
    order = {name: n for n, name in enumerate(dict.fromkeys(key[0] for key in keys))}
    return tuple(
        ComparisonRow(
            *key,
            cells=tuple(
                tuple(row for row in one.cutoffs if _make_key(row) == key) for one in publications
            ),
        )
        for key in sorted(keys, key=lambda key: order[key[0]])
    )


def _make_key(row: Cutoff) -> tuple[str, str, str | None, str | None]:
    return row.observation, row.unit, row.sex, row.method


def build_plot(guidelines: Sequence[Guideline], known: SiteKnowledge) -> Plot:
    """The bands of total B12, one column for each guideline."""
    title = known.b12.titles[CHARTED_OBSERVATION]
    edges = [
        row.limit for one in guidelines for row in one.get_rows(CHARTED_OBSERVATION, CHARTED_UNIT)
    ]
    top = max(edges) * TOP_MARGIN
    points: dict[str, list[tuple[Any, ...]]] = {means: [] for means in TONES}
    for one in guidelines:
        for low, high, met in _find_bands(one, top):
            printed = "" if met.source is None else f", not printed by {one.id} itself"
            told = f"{met.text}: {met.means}{printed}"
            points[met.means].append((one.id, (low, high), told))
    return Plot(
        says=f"What {title.lower()} in {CHARTED_UNIT} means by {len(guidelines)} guidelines; "
        "the table holds the same limits.",
        x=Axis("", "category"),
        y=Axis(f"{title}, {CHARTED_UNIT}", least=0, most=round(top)),
        series=[
            Series(means, found, "bar", TONES[means]) for means, found in points.items() if found
        ],
        height=340,
    )


def _find_bands(limits: CutoffTable, top: float) -> Iterable[tuple[float, float, Cutoff]]:
    """(from, to, the row that values in between meet), as a result would be read."""
    edges = sorted(
        {0.0, top, *(row.limit for row in limits.get_rows(CHARTED_OBSERVATION, CHARTED_UNIT))}
    )
    for low, high in pairwise(edges):
        met = limits.find_first_met(CHARTED_OBSERVATION, (low + high) / 2, CHARTED_UNIT)
        if met is not None:
            yield low, high, met


def as_json(publications: Sequence[Guideline | Definition]) -> list[dict[str, Any]]:
    return [
        {
            "observation": row.observation,
            "unit": row.unit,
            **({"sex": row.sex} if row.sex else {}),
            **({"method": row.method} if row.method else {}),
            "limits": {
                one.id: [build_limit_document(cutoff) for cutoff in cell]
                for one, cell in zip(publications, row.cells, strict=True)
                if cell
            },
        }
        for row in build_rows(publications)
    ]
