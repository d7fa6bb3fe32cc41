"""The report as one page: the run, a few sentences, every table, and what it cannot say."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.util import find_spec
from typing import TYPE_CHECKING

from services.population.report.brief import facts, in_short, tiles
from services.population.report.cautions import cautions
from services.population.report.gathered import Gathered
from services.population.report.presenting import Grid, laid_out
from services.population.report.table import Filled
from services.report.layout import rendered

if TYPE_CHECKING:
    from services.report.drawing import Drawing

AT_SIGHT = 14  # rows of a table; one that is longer opens when asked
# The sections of the page, and the tables of each; a name that ends in * is of all that begin so.
SECTIONS: Mapping[str, Sequence[str]] = {
    "Would-be cards": (
        "visits", "cards_by_week", "clinician_days", "worst_card", "cards", "card_patients",
        "withheld",
    ),
    "Vitamin B12": (
        "b12_category", "b12_category_measured", "b12_found_by_age_and_sex", "b12_category_by_*",
        "indicator",
    ),
    "Muscle": (
        "muscle_category", "muscle_category_measured", "muscle_found_by_age_and_sex",
        "muscle_category_by_*", "muscle_findings",
    ),
    "Attention": (
        "urgency", "tier", "together", "differential", "b12_next_steps", "muscle_next_steps",
        "b12_flags", "muscle_flags",
    ),
    "Guidelines compared": ("agreement", "confusion_*", "changed", "at_the_limits"),
    "Results by limit": ("b12_limits", "muscle_limits"),
    "What is missing": ("missing", "missing_by_b12", "missing_by_muscle", "unusable"),
    "People to look at": ("review",),
    "The input": ("resources", "dropped", "complaints"),
}  # fmt: skip


def page(run: Gathered, filled: Mapping[str, Filled], mask_below: int) -> str:
    figures = {name: one.computed for name, one in filled.items()}
    drawn: Mapping[str, Drawing] = {}
    if has_charts := find_spec("vl_convert") is not None:
        from services.population.report.charts import drawings  # noqa: PLC0415  # an extra

        drawn = drawings(figures)
    style = (files("services") / "templates" / "population_report.css").read_text(encoding="utf-8")
    laid = {name: laid_out(one) for name, one in filled.items()}
    return rendered(
        "population_report.html",
        {
            "sections": _sections(filled),
            "figures": {name: one.table.figure for name, one in filled.items()},
            "laid": laid,
            "grids": {name for name, one in laid.items() if isinstance(one, Grid)},
            "listings": {name for name, one in filled.items() if one.table.listing},
            "drawings": drawn,
            "has_charts": has_charts,
            "facts": facts(run),
            "tiles": list(tiles(run, figures)),
            "in_short": in_short(run, figures),
            "cautions": cautions(run),
            "run": run,
            "mask_below": mask_below,
            "at_sight": AT_SIGHT,
        },
        style,
    )


def _sections(filled: Mapping[str, Filled]) -> Mapping[str, list[str]]:
    """The tables that there are, in the order of the page; every one stands somewhere."""
    placed: dict[str, list[str]] = {}
    for title, names in SECTIONS.items():
        found = [
            name
            for wanted in names
            for name in filled
            if name == wanted or (wanted[-1] == "*" and name.startswith(wanted[:-1]))
        ]
        if found:
            placed[title] = list(dict.fromkeys(found))
    return placed
