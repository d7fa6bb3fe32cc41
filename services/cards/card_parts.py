"""The part of a card that one topic writes, and what cards of all topics are built with."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from operator import attrgetter
from typing import NamedTuple, Protocol

from cds_hooks.protocol.cards import (
    MAX_SUMMARY_LENGTH,
    Coding,
    Indicator,
    Link,
    Source,
    Suggestion,
    shorten,
)
from services.assessment.evidence import Evidence
from services.evaluation.combination import Evaluation
from services.evaluation.order_session import OrderSession
from services.evaluation.topic import TopicRules
from services.knowledge.site import SiteKnowledge

MAX_LABEL_LENGTH = 160  # of a source
MAX_SUGGESTIONS = 4  # on a card about one topic
MAX_SUGGESTIONS_COMBINED = 5
MAX_SUGGESTIONS_FIRST = 3  # of the first topic, where another has some of its own


class Verdict(NamedTuple):
    """Whether a topic has something to say, and why it is withheld where it would have."""

    shows: bool
    reason: str | None = None  # "b12:deceased"


class CardPart(NamedTuple):
    """What one topic says of a patient: a card of its own, or a part of one about several."""

    sentences: tuple[str, ...]  # of the summary: what is found, then what it asks for
    clause: str  # what it adds to the summary of another topic; may be empty
    indicator: Indicator
    source: Source  # with the topic code of a card about this topic alone
    detail: str
    suggestions: tuple[Suggestion, ...]
    marks: frozenset[str]  # of its evidence
    is_urgent: bool  # days matter
    leads: bool = False  # its summary comes before that of any other topic

    @property
    def summary(self) -> str:
        """The card's summary, before it is cut to length."""
        return " ".join(self.sentences)


class Topic(TopicRules, Protocol):
    """A clinical question: its rules, when it speaks, and its part of a card."""

    @property
    def problem(self) -> str:
        """ "muscle": in attention settings, order rules, and reasons why a card is withheld."""

    @property
    def title(self) -> str:
        """ "Muscle": for people."""

    @property
    def rule_prefix(self) -> str:
        """ "muscle:": before the names of its rules in records."""

    def list_codes(self) -> Iterable[tuple[str, str]]:
        """The codes of its cards, each with what it stands for."""

    def should_show(self, session: OrderSession) -> Verdict: ...

    def is_urgent(self, evaluation: Evaluation) -> bool:
        """Whether the finding cannot wait, whatever the call is about."""

    def has_action(self, session: OrderSession) -> bool:
        """Whether the finding presses or asks for anything: a reason to interrupt an order."""

    def list_order_concepts(self, session: OrderSession) -> tuple[str, ...]:
        """The drugs and tests that the finding has to do with."""

    def choose_indicator(self, evaluation: Evaluation) -> Indicator: ...

    def build_links(self, knowledge: SiteKnowledge, base_url: str) -> tuple[Link, ...]: ...

    def build_part(self, session: OrderSession, others: frozenset[str]) -> CardPart:
        """Write the part of a card that is also about the topics `others`, by id."""

    def describe_patient(self, session: OrderSession) -> str:
        """The detail beside orders, where the topic has no part of its own on the card."""


@cache
def build_topic_code(problem: str, category: str) -> str:
    """The stable, alphanumeric code of a kind of card: "b12AtRiskUntested"."""
    words = re.split("[-_]", category.replace(problem, ""))
    return problem + "".join(word.capitalize() for word in words)


def build_source(label: str, url: str, topic: Coding) -> Source:
    return Source(shorten(label, MAX_LABEL_LENGTH), url, topic)


def build_topic(code: str, title: str, knowledge: SiteKnowledge) -> Coding:
    """The code of a kind of card, with what it stands for in the site's language."""
    system = f"{knowledge.index.base}/CodeSystem/card-topic"
    return Coding(code, system, knowledge.language(title))


def build_marks(evidence: Iterable[Evidence]) -> frozenset[str]:
    """Mark the results and conditions of a finding: a corrected value is another mark."""
    return frozenset(f"{e.rule}|{e.resource}|{e.value}|{e.unit}" for e in evidence if e.resource)


def merge_parts(parts: Sequence[CardPart], suffix: str) -> CardPart:
    """Merge the parts of a card, in the order of the topics; one part stays as it is.

    The summary adds to the leading part what there is room for. The card is of the kind of the
    first part, its code with `suffix`.
    """
    first, *others = parts
    if not others:
        if len(first.suggestions) <= MAX_SUGGESTIONS:
            return first
        return first._replace(suggestions=first.suggestions[:MAX_SUGGESTIONS])
    lead = next((part for part in parts if part.leads), first)
    clauses = (part.clause for part in parts if part is not lead and part.clause)
    sentences = (*lead.sentences, *clauses)
    if len(" ".join(sentences)) > MAX_SUMMARY_LENGTH:
        sentences = lead.sentences
    return CardPart(
        sentences=sentences,
        clause="",
        indicator=max((part.indicator for part in parts), key=attrgetter("rank")),
        source=_add_suffix(first.source, suffix),
        detail="\n\n".join(part.detail for part in parts),
        suggestions=_merge_suggestions(first, others),
        marks=frozenset().union(*(part.marks for part in parts)),
        is_urgent=any(part.is_urgent for part in parts),
    )


def _merge_suggestions(first: CardPart, others: Sequence[CardPart]) -> tuple[Suggestion, ...]:
    """The first topic's suggestions before those of others; only the first is recommended."""
    added = [suggestion for part in others for suggestion in part.suggestions]
    firsts = first.suggestions[: MAX_SUGGESTIONS_FIRST if added else MAX_SUGGESTIONS]
    return tuple(
        replace(suggestion, is_recommended=False)
        if place and suggestion.is_recommended
        else suggestion
        for place, suggestion in enumerate((*firsts, *added)[:MAX_SUGGESTIONS_COMBINED])
    )


def _add_suffix(source: Source, suffix: str) -> Source:
    topic = source.topic
    return replace(source, topic=topic and replace(topic, code=f"{topic.code}{suffix}"))
