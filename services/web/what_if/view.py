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
class WhatIfView:
    """The answer and how it came about. Made anew for each page; nothing of it stays."""

    query: WhatIfQuery
    variant: Variant
    settings: Settings
    document: Any
    result: CaseResult

    @classmethod
    def from_document(
        cls, document: Any, asked: WhatIfQuery, chosen: Variant, settings: Settings
    ) -> "WhatIfView":
        """Raises UnusableDocument."""
        shown = answer_case(document, chosen, asked.day, asked.hook)
        return cls(asked, chosen, settings, document, shown)

    @property
    def cards(self) -> tuple[Mapping[str, Any], ...]:
        return self.result.cards

    @property
    def b12(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.result.assessment["b12"]
        return found

    @property
    def muscle(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.result.assessment["sarcopenia"]
        return found

    @property
    def b12_title(self) -> str:
        return get_sentence(B12Category, self.b12["category"])

    @property
    def muscle_title(self) -> str:
        return get_sentence(SarcopeniaCategory, self.muscle["category"])

    @property
    def evidence(self) -> tuple[decision_path.EvidenceStep, ...]:
        return decision_path.list_evidence(self.result, self.variant)

    @property
    def gaps(self) -> tuple[decision_path.DataGap, ...]:
        return decision_path.list_gaps(self.result, self.variant)

    @property
    def withheld(self) -> tuple[decision_path.DataGap, ...]:
        return decision_path.list_withheld(self.result, self.variant)

    @property
    def steps(self) -> tuple[tuple[str, str, str], ...]:
        return decision_path.list_steps(self.result)

    @property
    def flags(self) -> tuple[tuple[str, str, str], ...]:
        return decision_path.list_flags(self.result)

    @cached_property
    def placed(self) -> tuple[ResultOnScale, ...]:
        return place_results(self.result.answered.chart, self.variant.knowledge)

    @cached_property
    def sweepable(self) -> Mapping[str, str]:
        return list_sweepable(self.result.answered, self.variant)

    @cached_property
    def sweep(self) -> Sweep:
        asked = self.query.aside.get("sweep", "")
        measured = self.result.answered.chart.measurements
        preferred = next(
            (name for name in DEFAULT_MEASURES if name in measured), DEFAULT_MEASURES[0]
        )
        name = asked if asked in self.sweepable else preferred
        begins, ends = self.query.find_number("from"), self.query.find_number("to")
        return sweep_value(self.result.answered, self.variant, name, begins, ends)

    @cached_property
    def simulated(self) -> FaultSimulation | None:
        """None where nobody asked for it."""
        if not self.query.aside.get("awkward"):
            return None
        request = build_request(
            self.document,
            self.result.answered,
            build_prefetch_templates(self.variant.knowledge.index),
        )
        return simulate_faults(request, self.settings, self.variant, self.query.day)

    @property
    def documents(self) -> dict[str, str]:
        """What was asked and what was answered, as JSON to read."""
        documents = {
            "The call": self.document,
            "The answer": {"cards": list(self.cards)},
            "The assessment": self.result.assessment,
        }
        return {
            title: orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()
            for title, document in documents.items()
        }

    def build_case(self) -> dict[str, Any]:
        name = (
            f"{self.b12['category']}, {self.muscle['category']}, {self.result.assessment['tier']}"
        )
        return build_case(name, self.document, self.variant, self.query.day, self.result)
