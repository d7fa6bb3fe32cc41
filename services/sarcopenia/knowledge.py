"""What muscle is judged by: one definition, the site's choices, the causes to tell apart."""

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
    """Read and checked once, at start."""

    definition: Definition
    policy: Mapping[str, float]
    groups: Mapping[str, tuple[str, ...]]  # mappings/clinical/clinical_sets.toml
    titles: Mapping[str, str]  # a value set's name -> what it is called
    best_of_day: frozenset[str]  # measures of which the highest of one day's trials counts
    refused: Mapping[str, str]  # value sets never read as a measure, and why
    sarc_f_items: Mapping[str, float]  # the questions of SARC-F, with the highest score of each
    causes: tuple[Cause, ...]  # mappings/clinical/differential.toml
    tests_of: Mapping[str, tuple[str, ...]] = field(init=False)  # meaning -> the measures of it
    measures: tuple[str, ...] = field(init=False)  # everything that has a limit
    of_muscle: frozenset[str] = field(init=False)  # everything that shows that muscle was measured
    looked_at: frozenset[str] = field(init=False)  # every result that the definition looks at
    cause_of: Mapping[str, Cause] = field(init=False)  # the causes by their ids
    causes_naming: Mapping[str, tuple[int, ...]] = field(init=False)  # places of the causes by name

    def __post_init__(self) -> None:
        means = dict.fromkeys(row.means for row in self.definition.cutoffs)
        tests = {meaning: self.definition.list_observations(meaning) for meaning in means}
        object.__setattr__(self, "tests_of", tests)
        measures = dict.fromkeys(row.observation for row in self.definition.cutoffs)
        object.__setattr__(self, "measures", tuple(measures))
        otherwise = self.groups["strength_measured_otherwise"]
        parts = ("asm",) if self.definition.mass_order else ()  # what an index is made of
        shown = frozenset((*measures, *self.sarc_f_items, *otherwise, *parts))
        object.__setattr__(self, "of_muscle", shown - BODY_MEASURES)
        looked_at = frozenset((*measures, *self.sarc_f_items, *self.refused, *NAMED_MEASURES))
        object.__setattr__(self, "looked_at", looked_at)
        object.__setattr__(self, "cause_of", {cause.id: cause for cause in self.causes})
        naming: dict[str, tuple[int, ...]] = {}
        for place, cause in enumerate(self.causes):
            for name in cause.names:
                naming[name] = (*naming.get(name, ()), place)
        object.__setattr__(self, "causes_naming", naming)
