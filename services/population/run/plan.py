"""What a run is going to do: settled before it begins, and kept so that it can be gone on with."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from mappings.knowledge_file import FOLDER
from services.cards.composer import CardMaker
from services.hooks.catalog import attention_of
from services.knowledge.site import Known, chosen, load_knowledge
from services.population.run.assess import Judges
from services.population.run.sources import Part, Source, parts_of

MEBIBYTE = 1 << 20
PART = 64 * MEBIBYTE  # of input, read at once by one process
MOST_BUCKETS = 2048


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a worker needs to know; it can be sent to another machine."""

    out: Path
    sources: tuple[Source, ...]
    clinical: Mapping[str, Any]  # the tenant's tables, with the first guideline and definition
    guidelines: tuple[str, ...]  # further ones, to compare with
    definitions: tuple[str, ...]
    as_of: date
    tenant: str
    key: bytes  # of the patients' hashes
    base_url: str
    since: date | None = None  # first day of a replay, which ends on `as_of`
    answers: str = "none"  # how clinicians answer in a replay
    longest: int = 64 * MEBIBYTE  # of a line or a document
    part_bytes: int = PART

    @property
    def parts(self) -> tuple[Part, ...]:
        return parts_of(self.sources, self.part_bytes)

    @property
    def buckets(self) -> int:
        """As many as there are parts, so that neither pass needs more memory than the other."""
        expected = sum(source.unpacked for source in self.sources)
        return min(max(expected // self.part_bytes, 4), MOST_BUCKETS)

    def judges(self, known: Known | None = None) -> Judges:
        """`known` is what `clinical` chooses, where it has been read. Raises KnowledgeFault."""
        known = known or load_knowledge(self.clinical)
        maker = CardMaker.at_start(known, self.base_url)
        rules = attention_of(self.clinical.get("attention"), known)
        return Judges(maker, rules, tuple(self._others(known)))

    def _others(self, first: Known) -> list[Known]:
        others = []
        for guideline in self.guidelines:
            b12 = {**self.clinical.get("b12", {}), "guideline": guideline}
            known = load_knowledge({**self.clinical, "b12": b12})
            others.append(replace(first, b12=known.b12))
        for definition in self.definitions:
            muscle = {**self.clinical.get("sarcopenia", {}), "definition": definition}
            known = load_knowledge({**self.clinical, "sarcopenia": muscle})
            others.append(replace(first, muscle=known.muscle))
        return others

    def fingerprint(self) -> str:
        """The same for runs that must give the same result."""
        said = {
            "version": version("cobalamin-cds"),
            "knowledge": _digest_of_knowledge(),
            "sources": [[str(s.path), s.size, s.changed] for s in self.sources],
            "clinical": chosen(self.clinical),
            "guidelines": self.guidelines,
            "definitions": self.definitions,
            "as_of": self.as_of,
            "since": self.since,
            "answers": self.answers,
            "tenant": self.tenant,
            "key": hashlib.sha256(self.key).hexdigest(),
            "longest": self.longest,
            "part": self.part_bytes,
        }
        return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _digest_of_knowledge() -> str:
    digest = hashlib.sha256()
    for file in sorted(FOLDER.rglob("*")):
        if file.suffix in (".toml", ".csv", ".json"):
            digest.update(str(file.relative_to(FOLDER)).encode() + file.read_bytes())
    return digest.hexdigest()
