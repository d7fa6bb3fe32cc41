"""Everything that the page shows of one document by one set of choices."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from cds_hooks.config.settings import Settings
from services.assessment.codes import B12Category, SarcopeniaCategory
from services.assessment.labels import get_sentence
from services.hooks.catalog import build_prefetch_templates
from services.hooks.overrides import Variant
from services.hooks.regression_cases import CaseResult, answer_case, build_case
from services.web.what_if import decision_path
from services.web.what_if.limit_bands import ResultOnScale, place_results
from services.web.what_if.prefetch_faults import FaultSimulation, build_request, simulate_faults
from services.web.what_if.query import WhatIfQuery
from services.web.what_if.sweep import Sweep, list_sweepable, sweep_value

DEFAULT_MEASURES = ("total_b12", "active_b12")  # what is swept where nobody chose


@dataclass
class View:
    """The answer and how it came about. Made anew for each page; nothing of it stays."""

    asked: WhatIfQuery
    chosen: Variant
    settings: Settings
    document: Any
    shown: CaseResult

    @classmethod
    def from_document(
        cls, document: Any, asked: WhatIfQuery, chosen: Variant, settings: Settings
    ) -> "View":
        """Raises UnusableDocument."""
        shown = answer_case(document, chosen, asked.day, asked.hook)
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
        return get_sentence(B12Category, self.b12["category"])

    @property
    def muscle_title(self) -> str:
        return get_sentence(SarcopeniaCategory, self.muscle["category"])

    @property
    def looks(self) -> tuple[decision_path.EvidenceStep, ...]:
        return decision_path.list_evidence(self.shown, self.chosen)

    @property
    def gaps(self) -> tuple[decision_path.DataGap, ...]:
        return decision_path.list_gaps(self.shown, self.chosen)

    @property
    def withheld(self) -> tuple[decision_path.DataGap, ...]:
        return decision_path.list_withheld(self.shown, self.chosen)

    @property
    def steps(self) -> tuple[tuple[str, str, str], ...]:
        return decision_path.list_steps(self.shown)

    @property
    def flags(self) -> tuple[tuple[str, str, str], ...]:
        return decision_path.list_flags(self.shown)

    @cached_property
    def placed(self) -> tuple[ResultOnScale, ...]:
        return place_results(self.shown.answered.chart, self.chosen.known)

    @cached_property
    def sweepable(self) -> Mapping[str, str]:
        return list_sweepable(self.shown.answered, self.chosen)

    @cached_property
    def sweep(self) -> Sweep:
        asked = self.asked.aside.get("sweep", "")
        measured = self.shown.answered.chart.measurements
        preferred = next(
            (name for name in DEFAULT_MEASURES if name in measured), DEFAULT_MEASURES[0]
        )
        name = asked if asked in self.sweepable else preferred
        begins, ends = self.asked.find_number("from"), self.asked.find_number("to")
        return sweep_value(self.shown.answered, self.chosen, name, begins, ends)

    @cached_property
    def simulated(self) -> FaultSimulation | None:
        """None where nobody asked for it."""
        if not self.asked.aside.get("awkward"):
            return None
        request = build_request(
            self.document, self.shown.answered, build_prefetch_templates(self.chosen.known.index)
        )
        return simulate_faults(request, self.settings, self.chosen, self.asked.day)

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
        return build_case(name, self.document, self.chosen, self.asked.day, self.shown)
