"""Plan of a population run: inputs, knowledge and options, with a fingerprint to resume by."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from mappings.knowledge_file import FOLDER
from services.cards.composer import CardComposer
from services.hooks.catalog import read_attention_rules
from services.hooks.topics import TOPICS
from services.knowledge.configuration import choose_publication
from services.knowledge.site import SiteKnowledge, digest_choices, load_knowledge
from services.population.run.assess import Evaluators
from services.population.run.sources import InputFile, InputPart, split_files

MEBIBYTE = 1 << 20
PART_BYTES = 64 * MEBIBYTE  # of input, read at once by one process
MAX_BUCKETS = 2048


@dataclass(frozen=True, slots=True)
class RunPlan:
    """Everything that a worker needs to know; it can be sent to another machine."""

    out: Path
    sources: tuple[InputFile, ...]
    clinical: Mapping[str, Any]  # the tenant's tables, with the first guideline and definition
    guidelines: tuple[str, ...]  # further ones, to compare with
    definitions: tuple[str, ...]
    as_of: date
    tenant: str
    key: bytes  # of the patients' hashes
    base_url: str
    since: date | None = None  # first day of a replay, which ends on `as_of`
    answers: str = "none"  # how clinicians answer in a replay
    max_line_bytes: int = 64 * MEBIBYTE  # of a line or a document
    part_bytes: int = PART_BYTES

    @property
    def parts(self) -> tuple[InputPart, ...]:
        return split_files(self.sources, self.part_bytes)

    @property
    def buckets(self) -> int:
        """As many as there are parts, so that neither pass needs more memory than the other."""
        expected = sum(source.expected_bytes for source in self.sources)
        return min(max(expected // self.part_bytes, 4), MAX_BUCKETS)

    def load_evaluators(self, knowledge: SiteKnowledge | None = None) -> Evaluators:
        """`knowledge` is what `clinical` chooses, where it has been read. Raises KnowledgeError."""
        knowledge = knowledge or load_knowledge(self.clinical)
        maker = CardComposer.from_site(knowledge, TOPICS, self.base_url)
        rules = read_attention_rules(self.clinical.get("attention"), knowledge)
        return Evaluators(maker, rules, tuple(self._load_others(knowledge)))

    def _load_others(self, first: SiteKnowledge) -> list[SiteKnowledge]:
        others = []
        for guideline in self.guidelines:
            knowledge = load_knowledge(choose_publication(self.clinical, "b12", guideline))
            others.append(replace(first, b12=knowledge.b12))
        for definition in self.definitions:
            tables = choose_publication(self.clinical, "sarcopenia", definition)
            knowledge = load_knowledge(tables)
            others.append(replace(first, muscle=knowledge.muscle))
        return others

    def compute_fingerprint(self) -> str:
        """Digest that is the same for runs that must give the same result."""
        inputs = {
            "version": version("cobalamin-cds"),
            "knowledge": _hash_knowledge(),
            "sources": [[str(s.path), s.size, s.changed_ns] for s in self.sources],
            "clinical": digest_choices(self.clinical),
            "guidelines": self.guidelines,
            "definitions": self.definitions,
            "as_of": self.as_of,
            "since": self.since,
            "answers": self.answers,
            "tenant": self.tenant,
            "key": hashlib.sha256(self.key).hexdigest(),
            "longest": self.max_line_bytes,
            "part": self.part_bytes,
        }
        return hashlib.sha256(orjson.dumps(inputs, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _hash_knowledge() -> str:
    digest = hashlib.sha256()
    for file in sorted(FOLDER.rglob("*")):
        if file.suffix in (".toml", ".csv", ".json"):
            digest.update(str(file.relative_to(FOLDER)).encode() + file.read_bytes())
    return digest.hexdigest()
