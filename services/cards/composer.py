"""Compose the cards of a call: which topics are shown, in which order, on which card."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from cds_hooks.protocol.cards import Card, Coding, Indicator, Link, Source, shorten
from mappings.knowledge_file import CLINICAL, read_toml
from services.cards.attention import CardCandidate
from services.cards.card_parts import CardPart, Topic, merge_parts
from services.cards.order_cards import lead_with_orders
from services.evaluation.combination import Evaluation
from services.evaluation.order_rules import check_rule_texts, run_order_rules
from services.evaluation.order_session import OrderFinding, OrderSession
from services.evaluation.topic import list_labels
from services.knowledge.site import SiteKnowledge

Orders = tuple[OrderFinding, ...]


def build_suffix(topics: Iterable[Topic]) -> str:
    """What the code of a card about the first topic adds where it is about `topics` too."""
    return "".join(f"And{topic.problem.capitalize()}" for topic in topics)


def combine_topics(topics: Sequence[Topic]) -> Iterator[tuple[Topic, ...]]:
    """All the combinations of one or more of `topics`, in their order."""
    for number in range(1, len(topics) + 1):
        yield from combinations(topics, number)


@dataclass(frozen=True, slots=True)
class CardComposer:
    """Composes cards from evaluations; what is the same on each is made at start."""

    knowledge: SiteKnowledge
    topics: tuple[Topic, ...]  # in their order on a card
    links: Mapping[str, tuple[Link, ...]]  # by id of the topic
    suffixes: tuple[str, ...]
    override_reasons: tuple[Coding, ...]
    orders_link: Link
    app_link: Link | None = None  # to the SMART app, where the EHR has one

    @classmethod
    def from_site(
        cls,
        knowledge: SiteKnowledge,
        topics: tuple[Topic, ...],
        base_url: str,
        *,
        app: bool = False,
    ) -> "CardComposer":
        check_rule_texts(knowledge.order_rules)
        language, reasons = knowledge.language, read_toml(CLINICAL / "override_reasons.toml")
        app_link = Link(language("Trends and details"), f"{base_url}/smart/launch", "smart")
        return cls(
            knowledge=knowledge,
            topics=topics,
            links={topic.id: topic.build_links(knowledge, base_url) for topic in topics},
            suffixes=tuple(map(build_suffix, combine_topics(topics[1:]))),
            override_reasons=tuple(
                Coding(code, reasons["system"], language(text))
                for code, text in _list_override_reasons(reasons)
            ),
            orders_link=Link(
                language("What is said of orders, and why"), f"{base_url}/evidence/orders"
            ),
            app_link=app_link if app else None,
        )

    def draft_candidates(
        self,
        session: OrderSession,
        silenced: Mapping[str, str],
        *,
        everything: bool = False,
    ) -> tuple[tuple[CardCandidate, ...], tuple[str, ...]]:
        """The cards there is reason to show, and what is withheld before attention is asked.

        `silenced` are rules that are not shown here, each with why: "off", "silent", "audience".
        With `everything`, findings that have nothing to do with the orders are shown too.
        """
        orders = () if session.chart.deceased else run_order_rules(session)
        ids = (order.rule.id for order in orders)
        withheld = [f"{silenced[rule]}:{rule}" for rule in ids if rule in silenced]
        orders = tuple(order for order in orders if order.rule.id not in silenced)
        shown = []
        for topic in self.topics:
            shows, reason = topic.should_show(session)
            if shows and topic.problem in silenced:
                reason = f"{silenced[topic.problem]}:{topic.problem}"
            elif shows and not everything:
                reason = _find_reason_to_omit(topic, session, orders)
            if reason:
                withheld.append(reason)
            elif shows:
                shown.append(topic)
        candidates = self._compose(session, orders, shown)
        return tuple(self._add_app_link(card, session) for card in candidates), tuple(withheld)

    def _compose(
        self, session: OrderSession, orders: Orders, shown: Sequence[Topic]
    ) -> Iterator[CardCandidate]:
        """Compose a card for each problem; one for all topics that are shown."""
        for topic in self.topics:
            if topic in shown[1:]:
                continue  # on the card of the first
            problems = [other.problem for other in (shown if topic in shown else (topic,))]
            about = tuple(order for order in orders if order.rule.problem in problems)
            if shown and topic is shown[0]:
                yield self._build_topic_card(session, about, shown)
            elif about:
                yield self._build_order_card(session, about, topic)

    def _build_topic_card(
        self, session: OrderSession, orders: Orders, topics: Sequence[Topic]
    ) -> CardCandidate:
        """A card about the findings of `topics`, led by what there is to say of orders."""
        ids = frozenset(topic.id for topic in topics)
        parts = [topic.build_part(session, ids - {topic.id}) for topic in topics]
        part = merge_parts(parts, build_suffix(topics[1:]))
        links = tuple(link for topic in topics for link in self.links[topic.id])
        card = self._build_card(part, links)
        if orders:
            return self._lead(card, part.sentences[0], session, orders, urgent=part.is_urgent)
        return self._build_candidate(card, part.is_urgent)

    def _build_order_card(
        self, session: OrderSession, orders: Orders, topic: Topic
    ) -> CardCandidate:
        """A card about orders alone, with what is known of the patient in its detail."""
        card = Card(
            summary="",
            indicator=Indicator.INFO,
            source=Source(""),
            detail=topic.describe_patient(session),
            override_reasons=self.override_reasons,
            links=(self.orders_link, *self.links[topic.id][:1]),
        )
        urgent = session.evaluation.assessments[topic.id].urgent
        return self._lead(card, "", session, orders, urgent=urgent)

    def _lead(
        self, card: Card, finding: str, session: OrderSession, orders: Orders, *, urgent: bool
    ) -> CardCandidate:
        card = lead_with_orders(card, finding, orders, session, self.orders_link.url)
        return self._build_candidate(card, urgent)

    def _build_card(self, part: CardPart, links: tuple[Link, ...]) -> Card:
        return Card(
            summary=shorten(part.summary),
            indicator=part.indicator,
            source=part.source,
            detail=part.detail,
            suggestions=part.suggestions,
            selection_behavior="any" if part.suggestions else None,
            override_reasons=self.override_reasons,
            links=links,
            rests_on=part.marks,
        )

    def _build_candidate(self, card: Card, urgent: bool) -> CardCandidate:
        if card.source.topic is None:
            raise ValueError("a candidate needs a card with a topic")
        code = card.source.topic.code
        return CardCandidate(card, code, urgent, tuple(f"{code}{end}" for end in self.suffixes))

    def _add_app_link(self, candidate: CardCandidate, session: OrderSession) -> CardCandidate:
        """With a link to the app, which is told what the card is about, and nothing of whom."""
        if self.app_link is None:
            return candidate
        context = {"topic": candidate.topic, **({"hook": session.hook} if session.hook else {})}
        link = replace(self.app_link, app_context=json.dumps(context))
        card = replace(candidate.card, links=(*candidate.card.links, link))
        return candidate._replace(card=card)


def _list_override_reasons(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for reason in document["reasons"]:
        yield reason["code"], reason["display"]


def _find_reason_to_omit(topic: Topic, session: OrderSession, orders: Orders) -> str | None:
    """Why a finding about the patient does not belong beside these orders; None: it does.

    While an order is chosen only what concerns it is shown; before signing, warnings are shown
    once more. What is urgent is shown at any hook.
    """
    problem = topic.problem
    if not session.is_about_orders or any(order.rule.problem == problem for order in orders):
        return None
    if topic.is_urgent(session.evaluation):
        return None
    if not topic.has_action(session):
        return f"{problem}:nothing-to-do"
    concepts = topic.list_order_concepts(session)
    if session.find_drugs(*concepts) or session.find_tests(*concepts):
        return None
    if (
        not session.is_selecting
        and topic.choose_indicator(session.evaluation) is not Indicator.INFO
    ):
        return None
    return f"{problem}:not-about-these-orders"


def build_record(
    evaluation: Evaluation,
    knowledge: SiteKnowledge,
    topics: Sequence[Topic],
    suppressed: Iterable[str],
    card_topics: Iterable[str] = (),
) -> Mapping[str, Any]:
    """What the log and the records keep of an evaluation: names, never values."""
    assessments = evaluation.assessments
    rules = [
        f"{topic.rule_prefix}{evidence.rule}"
        for topic in topics
        for evidence in assessments[topic.id].evidence
    ]
    rules += [f"order:{code}" for code in card_topics if code.startswith("order")]
    return {
        "findings": {topic.id: assessments[topic.id].category for topic in topics},
        "tier": evaluation.tier,
        "rules": list(dict.fromkeys(rules)),
        "suppressed": list(suppressed),
        "knowledge": list_labels(knowledge, topics),
    }
