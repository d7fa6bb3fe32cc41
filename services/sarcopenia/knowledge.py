"""What muscle is judged by: one definition, the site's choices, the causes to tell apart."""

from collections.abc import Mapping
from dataclasses import dataclass

from mappings.differential import Cause
from mappings.sarcopenia_definition import Definition


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Read and checked once, at start."""

    definition: Definition
    policy: Mapping[str, float]
    groups: Mapping[str, tuple[str, ...]]  # mappings/clinical_sets.toml
    titles: Mapping[str, str]  # a value set's name -> what it is called
    best_of_day: frozenset[str]  # measures of which the highest of one day's trials counts
    refused: Mapping[str, str]  # value sets never read as a measure, and why
    sarc_f_items: Mapping[str, float]  # the questions of SARC-F, with the highest score of each
    causes: tuple[Cause, ...]  # mappings/differential.toml
