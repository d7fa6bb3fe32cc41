"""The knowledge of the muscle rules: one definition, the site's policy, other causes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mappings.publications.definition import Definition
from mappings.publications.differential import Cause

# Measures of the body that are needed for an index; on their own they say nothing of muscle.
BODY_MEASURES = frozenset({"height", "weight", "bmi"})

# What the rules ask for by name, whether or not the definition has a limit for it.
NAMED_MEASURES = frozenset({"asm", "calf_circumference", "grip_strength", "sarc_f"})


@dataclass(frozen=True, slots=True)
class SarcopeniaKnowledge:
    """Definition, policy, groups of concepts and other causes; read and checked at start."""

    definition: Definition
    policy: Mapping[str, float]
    groups: Mapping[str, tuple[str, ...]]  # mappings/clinical/clinical_sets.toml
    titles: Mapping[str, str]  # a value set's name -> what it is called
    best_of_day: frozenset[str]  # measures of which the highest of one day's trials counts
    refused: Mapping[str, str]  # value sets never read as a measure, and why
    sarc_f_items: Mapping[str, float]  # the questions of SARC-F, with the highest score of each
    causes: tuple[Cause, ...]  # mappings/clinical/differential.toml
    measures_by_meaning: Mapping[str, tuple[str, ...]] = field(init=False)
    measures: tuple[str, ...] = field(init=False)  # everything that has a limit
    muscle_measures: frozenset[str] = field(init=False)  # their presence is a trigger
    observations_read: frozenset[str] = field(init=False)  # all that the rules read
    causes_by_id: Mapping[str, Cause] = field(init=False)
    cause_indexes_by_name: Mapping[str, tuple[int, ...]] = field(init=False)  # into `causes`

    def __post_init__(self) -> None:
        means = dict.fromkeys(row.means for row in self.definition.cutoffs)
        tests = {meaning: self.definition.list_observations(meaning) for meaning in means}
        object.__setattr__(self, "measures_by_meaning", tests)
        measures = dict.fromkeys(row.observation for row in self.definition.cutoffs)
        object.__setattr__(self, "measures", tuple(measures))
        otherwise = self.groups["strength_measured_otherwise"]
        parts = ("asm",) if self.definition.mass_order else ()  # what an index is made of
        shown = frozenset((*measures, *self.sarc_f_items, *otherwise, *parts))
        object.__setattr__(self, "muscle_measures", shown - BODY_MEASURES)
        results = frozenset((*measures, *self.sarc_f_items, *self.refused, *NAMED_MEASURES))
        object.__setattr__(self, "observations_read", results)
        object.__setattr__(self, "causes_by_id", {cause.id: cause for cause in self.causes})
        indexes: dict[str, tuple[int, ...]] = {}
        for index, cause in enumerate(self.causes):
            for name in cause.names:
                indexes[name] = (*indexes.get(name, ()), index)
        object.__setattr__(self, "cause_indexes_by_name", indexes)
