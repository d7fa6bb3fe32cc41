"""The knowledge of the B12 rules: one guideline, limits common to all, the site's policy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mappings.publications.cutoffs import CutoffTable
from mappings.publications.guideline import Guideline


@dataclass(frozen=True, slots=True)
class B12Knowledge:
    """Guideline, laboratory limits, policy and groups of concepts; read and checked at start."""

    guideline: Guideline
    laboratory: CutoffTable
    policy: Mapping[str, float]
    groups: Mapping[str, tuple[str, ...]]  # mappings/clinical/clinical_sets.toml
    group_texts: Mapping[str, tuple[str, str]]  # of each group: what it says, and by which source
    indicator: Mapping[str, Any]  # mappings/clinical/combined_indicator.toml
    titles: Mapping[str, str]  # a value set's name -> what it is called
    result_max_age_months: int = field(init=False)  # of the policy: older results decide nothing

    def __post_init__(self) -> None:
        months = int(self.policy["result_max_age_months"])
        object.__setattr__(self, "result_max_age_months", months)
