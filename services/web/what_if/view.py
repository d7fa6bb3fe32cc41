"""Everything that the page shows of one document by one set of choices."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from cds_hooks.config.settings import Settings
from services.hooks.catalog import prefetch_templates
from services.hooks.overrides import Chosen
from services.hooks.regression_cases import Shown, case_of, show
from services.sarcopenia.labels import CATEGORIES
from services.vitamin_b12.labels import TITLES
from services.web.what_if import decision_path
from services.web.what_if.limit_bands import Placed, placed
from services.web.what_if.prefetch_faults import Simulated, as_request, simulate
from services.web.what_if.query import Asked
from services.web.what_if.sweep import Sweep, sweep, sweepable

PREFERRED = ("total_b12", "active_b12")  # what is swept where nobody chose


@dataclass
class View:
    """The answer and how it came about. Made anew for each page; nothing of it stays."""

    asked: Asked
    chosen: Chosen
    settings: Settings
    document: Any
    shown: Shown

    @classmethod
    def of(cls, document: Any, asked: Asked, chosen: Chosen, settings: Settings) -> "View":
        """Raises UnusableDocument."""
        shown = show(document, chosen, asked.day, asked.hook)
        return cls(asked, chosen, settings, document, shown)

    @property
    def cards(self) -> tuple[Mapping[str, Any], ...]:
        return self.shown.cards

    @property
    def b12(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.shown.assessment["b12"]
        return found

    @property
    def muscle(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.shown.assessment["sarcopenia"]
        return found

    @property
    def b12_title(self) -> str:
        category = str(self.b12["category"])
        return TITLES.get(category, category.replace("-", " ").capitalize())

    @property
    def muscle_title(self) -> str:
        return CATEGORIES[self.muscle["category"]]

    @property
    def looks(self) -> tuple[decision_path.Look, ...]:
        return decision_path.looks(self.shown, self.chosen)

    @property
    def gaps(self) -> tuple[decision_path.Gap, ...]:
        return decision_path.gaps(self.shown, self.chosen)

    @property
    def withheld(self) -> tuple[decision_path.Gap, ...]:
        return decision_path.withheld(self.shown, self.chosen)

    @property
    def steps(self) -> tuple[tuple[str, str, str], ...]:
        return decision_path.steps(self.shown)

    @property
    def flags(self) -> tuple[tuple[str, str, str], ...]:
        return decision_path.flags(self.shown)

    @cached_property
    def placed(self) -> tuple[Placed, ...]:
        return placed(self.shown.answered.chart, self.chosen.known)

    @cached_property
    def sweepable(self) -> Mapping[str, str]:
        return sweepable(self.shown.answered, self.chosen)

    @cached_property
    def sweep(self) -> Sweep:
        asked = self.asked.aside.get("sweep", "")
        measured = self.shown.answered.chart.measurements
        preferred = next((name for name in PREFERRED if name in measured), PREFERRED[0])
        name = asked if asked in self.sweepable else preferred
        begins, ends = self.asked.number("from"), self.asked.number("to")
        return sweep(self.shown.answered, self.chosen, name, begins, ends)

    @cached_property
    def simulated(self) -> Simulated | None:
        """None where nobody asked for it."""
        if not self.asked.aside.get("awkward"):
            return None
        request = as_request(
            self.document, self.shown.answered, prefetch_templates(self.chosen.known.index)
        )
        return simulate(request, self.settings, self.chosen, self.asked.day)

    @property
    def documents(self) -> dict[str, str]:
        """What was asked and what was answered, as JSON to read."""
        documents = {
            "The call": self.document,
            "The answer": {"cards": list(self.cards)},
            "The assessment": self.shown.assessment,
        }
        return {
            title: orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()
            for title, document in documents.items()
        }

    def case(self) -> dict[str, Any]:
        name = f"{self.b12['category']}, {self.muscle['category']}, {self.shown.assessment['tier']}"
        return case_of(name, self.document, self.chosen, self.asked.day, self.shown)
