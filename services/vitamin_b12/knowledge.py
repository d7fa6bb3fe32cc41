"""The knowledge of the B12 rules: one guideline, limits common to all, the site's policy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mappings.publications.cutoffs import CutoffTable
from mappings.publications.guideline import Guideline
from mappings.publications.laboratory import Marker
from services.assessment.b12_steps import B12Step

# Next steps that a test answers, the more useful first: what decides, what makes treatment
# safe (a marker of laboratory.toml), what finds the cause.
DECIDING_TESTS: dict[str, tuple[str, ...]] = {
    B12Step.ORDER_HCY_OR_MMA: ("order_homocysteine", "order_mma"),
    B12Step.ORDER_MMA: ("order_mma",),
    B12Step.CONSIDER_MMA: ("order_mma",),
    B12Step.ORDER_ACTIVE_B12: ("order_active_b12",),
    B12Step.CONSIDER_ACTIVE_B12_OR_MMA: ("order_active_b12",),
    B12Step.CONSIDER_ACTIVE_B12_OR_URINE_MMA: ("order_active_b12",),
    B12Step.ORDER_TOTAL_OR_ACTIVE_B12: ("order_total_b12", "order_active_b12"),
    B12Step.ORDER_TOTAL_B12: ("order_total_b12",),
    B12Step.ADD_TOTAL_B12: ("order_total_b12",),
    B12Step.OPTIONAL_CONSIDER_B12: ("order_total_b12",),
    B12Step.ORDER_CREATININE_EGFR: ("order_creatinine_egfr",),
}
WORK_UP_TESTS: dict[str, tuple[str, ...]] = {
    B12Step.CHECK_CBC: ("order_cbc",),
    B12Step.CHECK_FOLATE: ("order_folate",),
    B12Step.ADD_FOLATE: ("order_folate",),
    B12Step.CHECK_IF_ANTIBODY: ("order_intrinsic_factor_antibody",),
    B12Step.COELIAC_SEROLOGY: ("order_coeliac_serology",),
}


@dataclass(frozen=True, slots=True)
class B12Knowledge:
    """Guideline, laboratory limits, policy and groups of concepts; read and checked at start."""

    guideline: Guideline
    laboratory: CutoffTable
    markers: tuple[Marker, ...]
    policy: Mapping[str, float]
    groups: Mapping[str, tuple[str, ...]]  # mappings/clinical/clinical_sets.toml
    group_texts: Mapping[str, tuple[str, str]]  # of each group: what it says, and by which source
    indicator: Mapping[str, Any]  # mappings/clinical/combined_indicator.toml
    titles: Mapping[str, str]  # a value set's name -> what it is called
    result_max_age_months: int = field(init=False)  # of the policy: older results decide nothing
    tests_by_step: Mapping[str, tuple[str, ...]] = field(init=False)  # order templates

    def __post_init__(self) -> None:
        months = int(self.policy["result_max_age_months"])
        object.__setattr__(self, "result_max_age_months", months)
        tests = dict(DECIDING_TESTS)
        for marker in self.markers:
            tests |= marker.orders
        object.__setattr__(self, "tests_by_step", tests | WORK_UP_TESTS)
