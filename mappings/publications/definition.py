"""Published definitions of sarcopenia as data: one TOML file each, beside the guidelines."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mappings.knowledge_file import KnowledgeError
from mappings.publications.guideline_file import read_cutoffs, read_document
from mappings.publications.publication import Publication, read_head
from mappings.terminology.value_set import ValueSetIndex

ADULT_AGE = 18  # no definition is applied below: the limits are those of adults


@dataclass(frozen=True, slots=True)
class UnableMeaning:
    """The meaning of a test that could not be done or completed."""

    observation: str
    means: str  # "low_strength" or "low_performance"
    locator: str
    confidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition(Publication):
    """A definition of sarcopenia. Rows of `cutoffs` mean low_strength, low_mass, low_performance,
    intermediate_strength or positive_screen."""

    algorithm: str  # a key of services.sarcopenia.stages.ALGORITHMS
    algorithm_locator: str
    minimum_age_locator: str
    mass_order: tuple[str, ...]  # which measure of mass decides, the preferred first
    unable: tuple[UnableMeaning, ...]
    calf_score: int | None = None  # what a small calf adds to SARC-F for SARC-CalF

    def list_observations(self, means: str) -> tuple[str, ...]:
        """The measures that have a limit with this meaning, in the order of the file."""
        return tuple(dict.fromkeys(c.observation for c in self.cutoffs if c.means == means))

    def find_unable(self, observation: str) -> UnableMeaning | None:
        return next((row for row in self.unable if row.observation == observation), None)


def read_definition(
    id_: str,
    index: ValueSetIndex,
    minimum_age: int | None = None,
    own: Mapping[str, Path] = MappingProxyType({}),
) -> Definition:
    """The definition `id_`, with a site's own lower age in place of the file's.

    `own` are a site's own definitions. Raises KnowledgeError.
    """
    path, document = read_document(id_, "sarcopenia", "sarcopenia.definition", own)
    definition = _build_definition(document, path.name, index)
    return definition if minimum_age is None else replace(definition, minimum_age=minimum_age)


def _build_definition(document: Mapping[str, Any], file: str, index: ValueSetIndex) -> Definition:
    cutoffs = read_cutoffs(document["cutoffs"], file, index)
    limited = {(c.observation, c.means) for c in cutoffs}
    for entry in document.get("unable", ()):
        if (entry["observation"], entry["means"]) not in limited:
            raise KnowledgeError(
                file, f"unable {entry['observation']}", "no limit has this meaning"
            )
    for name in document["mass_order"]:
        if (name, "low_mass") not in limited:
            raise KnowledgeError(file, "mass_order", f"{name} has no limit")
    return Definition(
        **read_head(document, file),
        cutoffs=cutoffs,
        algorithm=document["algorithm"],
        algorithm_locator=document["algorithm_locator"],
        minimum_age_locator=document["minimum_age_locator"],
        mass_order=tuple(document["mass_order"]),
        unable=tuple(UnableMeaning(**entry) for entry in document.get("unable", ())),
        calf_score=document.get("calf_score"),
    )
