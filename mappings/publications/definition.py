"""Published definitions of sarcopenia as data: one TOML file each, beside the guidelines."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mappings.knowledge_file import Change, KnowledgeError, read_changes, read_day
from mappings.publications.guideline import CutoffTable
from mappings.publications.guideline_file import read_cutoffs, read_document
from mappings.terminology.value_set import ValueSetIndex

ADULT_AGE = 18  # no definition is applied below: the limits are those of adults


@dataclass(frozen=True, slots=True)
class UnableMeaning:
    """What it means that a test could not be done or completed."""

    observation: str
    means: str  # "low_strength" or "low_performance"
    locator: str
    confidence: str


@dataclass(frozen=True, slots=True)
class Definition(CutoffTable):
    """One publication. Rows of `cutoffs` mean low_strength, low_mass, low_performance,
    intermediate_strength or positive_screen."""

    id: str
    algorithm: str  # a key of services.sarcopenia.stages.ALGORITHMS
    algorithm_locator: str
    version: str
    title: str
    publisher: str
    citation: str
    published: date
    url: str
    reviewed: date
    reviewer: str
    strength: str
    minimum_age: int
    minimum_age_locator: str
    not_for: tuple[str, ...]
    mass_order: tuple[str, ...]  # which measure of mass decides, the preferred first
    unable: tuple[UnableMeaning, ...]
    source_attributes: Mapping[str, str]
    calf_score: int | None = None  # what a small calf adds to SARC-F for SARC-CalF
    based_on: Mapping[str, str] | None = None  # id, version and citation that it was copied from
    changes: tuple[Change, ...] = ()  # the newest first; empty where the file keeps no history

    @property
    def label(self) -> str:
        """Id and version, as printed on cards and in logs."""
        return f"{self.id}@{self.version}"

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

    `own` are a site's own definitions. Raises KnowledgeFault.
    """
    path, document = read_document(id_, "sarcopenia", "sarcopenia.definition", own)
    found = _build_definition(document, path.name, index)
    return found if minimum_age is None else replace(found, minimum_age=minimum_age)


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
    plain = {
        key: document[key]
        for key in (
            "id",
            "algorithm",
            "algorithm_locator",
            "version",
            "title",
            "publisher",
            "citation",
            "url",
            "reviewer",
            "strength",
            "minimum_age",
            "minimum_age_locator",
            "source_attributes",
        )
    }
    return Definition(
        **plain,
        cutoffs=cutoffs,
        published=read_day(document, "published", file),
        reviewed=read_day(document, "reviewed", file),
        not_for=tuple(document["not_for"]),
        mass_order=tuple(document["mass_order"]),
        unable=tuple(UnableMeaning(**entry) for entry in document.get("unable", ())),
        calf_score=document.get("calf_score"),
        based_on=document.get("based_on"),
        changes=read_changes(document, file),
    )
