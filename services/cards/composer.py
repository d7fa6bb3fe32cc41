"""One card for a patient: about B12, about muscle, or about both together."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from cds_hooks.protocol.cards import (
    MAX_SUMMARY_LENGTH,
    Action,
    Card,
    Coding,
    Indicator,
    Link,
    Source,
    Suggestion,
    shorten,
)
from mappings.actions.order_template import OrderTemplate, draft_order
from mappings.knowledge_file import CLINICAL, read_toml
from mappings.text import lowercase_first, make_text
from services.assessment.codes import B12Category, SarcopeniaCategory, Tier
from services.assessment.evidence import Evidence
from services.assessment.labels import get_sentence
from services.cards import b12 as b12_card
from services.cards import muscle as muscle_card
from services.cards.attention import COMBINED_SUFFIX, CardCandidate
from services.cards.b12 import write_detail as b12_detail
from services.cards.b12_summary import write_sentences as b12_sentences
from services.chart.model import Chart
from services.evaluation.combination import Evaluation
from services.evaluation.order_rules import check_rule_texts, run_order_rules
from services.evaluation.order_session import OrderFinding, OrderSession, Step
from services.knowledge.language import Language
from services.knowledge.site import SiteKnowledge
from services.vitamin_b12.orders import suggest_orders
from services.vitamin_b12.outcome import CARD_CATEGORIES

REFERENCE = re.compile(r"[A-Za-z]+/[A-Za-z0-9.-]{1,64}")
INDICATORS_ASCENDING = (Indicator.INFO, Indicator.WARNING, Indicator.CRITICAL)
MAX_SUGGESTIONS = 4  # suggestions on a card about one axis
MAX_SUGGESTIONS_COMBINED = 5
MAX_ORDERS = 3
# What these rules ask for first is the treatment; taking the draft away comes after it.
# Cases whose words leave nothing to add about the patient.
COMPLETE_CASES = frozenset({"level", "unknown", "unknown-with-reason"})
TREATMENT_FIRST_RULES = frozenset({"folic-acid", "nitrous-oxide"})
MAX_B12_SUGGESTIONS = 3  # of them at most, where muscle has orders of its own


def build_order_topic(rule: str) -> str:
    """The stable, alphanumeric code of cards about orders that a rule leads."""
    return f"order{''.join(part.capitalize() for part in rule.split('-'))}"


@dataclass(frozen=True, slots=True)
class CardMaker:
    """Makes cards from assessments; everything that is the same for each is made at start."""

    knowledge: SiteKnowledge
    b12_links: tuple[Link, ...]
    muscle_links: tuple[Link, ...]
    override_reasons: tuple[Coding, ...]
    orders_link: Link
    app_link: Link | None = None  # to the SMART app, where the EHR has one

    @classmethod
    def from_site(cls, known: SiteKnowledge, base_url: str, *, app: bool = False) -> "CardMaker":
        check_rule_texts(known.order_rules)
        said = known.language
        guideline, definition = known.b12.guideline, known.muscle.definition
        reasons = read_toml(CLINICAL / "override_reasons.toml")
        evidence = f"{base_url}/evidence"
        return cls(
            knowledge=known,
            b12_links=(
                Link(said("The limits and their sources"), f"{evidence}/{quote(guideline.id)}"),
                Link(
                    shorten(
                        said(
                            make_text("{publisher}: the guideline", publisher=guideline.publisher)
                        ),
                        80,
                    ),
                    guideline.url,
                ),
            ),
            muscle_links=(
                Link(
                    said("Muscle: the limits and their sources"),
                    f"{evidence}/{quote(definition.id)}",
                ),
                Link(said("B12 and muscle: what is known"), f"{evidence}/b12-and-muscle"),
            ),
            override_reasons=tuple(
                Coding(reason["code"], reasons["system"], known.language(reason["display"]))
                for reason in reasons["reasons"]
            ),
            orders_link=Link(said("What is said of orders, and why"), f"{evidence}/orders"),
            app_link=Link(said("Trends and details"), f"{base_url}/smart/launch", "smart")
            if app
            else None,
        )

    def draft_candidates(
        self,
        session: OrderSession,
        encounter: str | None,
        unheard: Mapping[str, str],
        *,
        everything: bool = False,
    ) -> tuple[tuple[CardCandidate, ...], tuple[str, ...]]:
        """The cards there is reason to show, and what is withheld before attention is asked.

        `unheard` are rules that do not speak here, each with why: "off", "silent", "audience".
        With `everything`, findings that have nothing to do with the orders are said too.
        """
        found, chart = session.evaluation, session.chart
        orders = () if chart.deceased else run_order_rules(session)
        withheld = [f"{unheard[o.rule.id]}:{o.rule.id}" for o in orders if o.rule.id in unheard]
        orders = tuple(order for order in orders if order.rule.id not in unheard)
        speaks = {}
        for axis, (worth, why) in (
            ("b12", b12_card.should_show(found.b12, session)),
            ("muscle", muscle_card.should_show(found, chart)),
        ):
            reason = why
            if worth and axis in unheard:
                reason = f"{unheard[axis]}:{axis}"
            elif worth and not everything:
                reason = self._find_reason_to_omit(axis, session, orders)
            if reason:
                withheld.append(reason)
            speaks[axis] = worth and reason is None
        composed = self._compose(session, encounter, orders, speaks)
        return tuple(self._add_app_link(one, session) for one in composed), tuple(withheld)

    def _add_app_link(self, candidate: CardCandidate, session: OrderSession) -> CardCandidate:
        """With a link to the app, which is told what the card is about, and nothing of whom."""
        if self.app_link is None:
            return candidate
        about = {"topic": candidate.topic, **({"hook": session.hook} if session.hook else {})}
        link = replace(self.app_link, app_context=json.dumps(about))
        card = replace(candidate.card, links=(*candidate.card.links, link))
        return replace(candidate, card=card)

    def _find_reason_to_omit(
        self, axis: str, session: OrderSession, orders: tuple[OrderFinding, ...]
    ) -> str | None:
        """Why a finding about the patient does not belong beside these orders; None: it does.

        While an order is chosen only what concerns it is said; before signing, warnings are said
        once more. What is urgent is said at any hook.
        """
        if not session.is_about_orders or any(order.rule.problem == axis for order in orders):
            return None
        found, chart = session.evaluation, session.chart
        urgent = found.b12.urgent if axis == "b12" else found.urgent is not None
        if axis == "b12" and not urgent and self._has_nothing_to_do(session):
            return "b12:nothing-to-do"
        group = session.get_group(f"{axis}_order")
        related = any(True for _ in chart.list_drafted_drugs(group)) or any(
            True for _ in chart.list_drafted_orders(group)
        )
        if urgent or related:
            return None
        loud = (
            b12_card.choose_indicator(found.b12)
            if axis == "b12"
            else muscle_card.choose_indicator(found)
        )
        if not session.is_selecting and loud is not Indicator.INFO:
            return None
        return f"{axis}:not-about-these-orders"

    def _has_nothing_to_do(self, session: OrderSession) -> bool:
        """Whether the finding neither presses nor asks for anything: no reason to interrupt."""
        b12 = session.evaluation.b12
        return (
            b12.urgency in ("none", "routine")
            and b12_card.choose_indicator(b12) is Indicator.INFO
            and not suggest_orders(b12, session.chart, self.knowledge.b12, self.knowledge.templates)
        )

    def _compose(
        self,
        session: OrderSession,
        encounter: str | None,
        orders: tuple[OrderFinding, ...],
        speaks: Mapping[str, bool],
    ) -> Iterator[CardCandidate]:
        """One card for each problem; one for both where both axes speak."""
        found = session.evaluation
        finding = self._write_finding(found, speaks) if orders else ""
        of_b12 = tuple(order for order in orders if order.rule.problem == "b12")
        of_muscle = tuple(order for order in orders if order.rule.problem == "muscle")
        if speaks["b12"] and speaks["muscle"]:
            urgent = found.b12.urgent or found.urgent is not None
            card = self._build_combined_card(session, encounter)
            yield self._lead_with_orders(card, finding, orders, session, encounter, urgent=urgent)
            return
        if speaks["b12"]:
            card = self._build_b12_card(session, encounter)
            yield self._lead_with_orders(
                card, finding, of_b12, session, encounter, urgent=found.b12.urgent
            )
        elif of_b12:
            yield self._lead_with_orders(
                None, "", of_b12, session, encounter, urgent=found.b12.urgent
            )
        if speaks["muscle"]:
            card, urgent = self._build_muscle_card(session, encounter), found.urgent is not None
            yield self._lead_with_orders(
                card, finding, of_muscle, session, encounter, urgent=urgent
            )
        elif of_muscle:
            yield self._lead_with_orders(None, "", of_muscle, session, encounter, urgent=False)

    def _write_finding(self, found: Evaluation, speaks: Mapping[str, bool]) -> str:
        """The first sentence of the summary, which says what is found and not what to do."""
        if speaks["muscle"] and (found.urgent is not None or not speaks["b12"]):
            return muscle_card.write_sentences(found, self.knowledge)[0]
        return self._write_b12_sentences(found)[0] if speaks["b12"] else ""

    def _lead_with_orders(
        self,
        card: Card | None,
        finding: str,
        orders: tuple[OrderFinding, ...],
        session: OrderSession,
        encounter: str | None,
        *,
        urgent: bool,
    ) -> CardCandidate:
        """`card` with what is to be said of the orders put first; without orders, as it is.

        `finding` is the first sentence of the card's summary; needed only where there are orders.
        """
        if not orders:
            if card is None or card.source.topic is None:
                raise ValueError("a candidate needs a card, and the card a topic")
            return CardCandidate(card, card.source.topic.code, urgent)
        first, said = orders[0], self.knowledge.language
        topic = build_order_topic(first.rule.id)
        proposed = tuple(self._draft_proposals(orders, session, encounter))
        held = card.suggestions if card else ()
        made = {a.template for s in held for a in s.actions if a.template}
        proposed = tuple(
            s for s in proposed if not ({a.template for a in s.actions if a.template} & made)
        )
        treatments = tuple(s for s in held if _is_drug(s))
        ordered = (*proposed, *held)
        if first.rule.id in TREATMENT_FIRST_RULES:
            ordered = (*treatments, *proposed, *(s for s in held if s not in treatments))
        most = MAX_SUGGESTIONS_COMBINED if card and len(held) > MAX_SUGGESTIONS else MAX_SUGGESTIONS
        suggestions = tuple(
            replace(s, is_recommended=place == 0 and _is_forward(s))
            for place, s in enumerate(ordered[:most])
        )
        loud = [Indicator(order.indicator) for order in orders]
        if card:
            loud.append(card.indicator)
        led = self._build_card(
            summary=_join_summary(
                said(first.summary), self._summarize_patient(card, finding, first), finding
            ),
            indicator=max(loud, key=INDICATORS_ASCENDING.index),
            source=Source(
                shorten(first.rule.source, 160),
                self._find_source_url(first),
                self._build_topic(topic, said(first.rule.title)),
            ),
            detail="\n\n".join(
                part
                for part in (
                    _write_orders(orders, said),
                    self._describe_patient(card, first, session),
                )
                if part
            ),
            suggestions=suggestions,
            links=card.links if card else (self.orders_link, *self._find_links(first)),
            rests_on=(card.rests_on if card else frozenset())
            | {f"{order.rule.id}|{mark}" for order in orders for mark in order.about},
        )
        return CardCandidate(led, topic, urgent)

    def _find_source_url(self, order: OrderFinding) -> str:
        """Where the rule's source is; where it names several, the page that lists them."""
        return order.rule.url or self.orders_link.url

    def _find_links(self, order: OrderFinding) -> tuple[Link, ...]:
        return (self.b12_links if order.rule.problem == "b12" else self.muscle_links)[:1]

    def _summarize_patient(
        self, card: Card | None, finding: str, first: OrderFinding
    ) -> str | None:
        """What the summary adds about the patient, where the words on the order leave it open."""
        if card is None or first.case in COMPLETE_CASES:
            return None
        return finding if first.case == "uncertain" else card.summary

    def _describe_patient(
        self, card: Card | None, first: OrderFinding, session: OrderSession
    ) -> str:
        """What is known of the patient, and what could not be checked."""
        if card is not None:
            return card.detail or ""
        if first.rule.problem == "b12":
            return b12_detail(session.evaluation.b12, session.chart, self.knowledge)
        return muscle_card.write_all_gaps(session.chart, self.knowledge.language)

    def _draft_proposals(
        self, orders: tuple[OrderFinding, ...], session: OrderSession, encounter: str | None
    ) -> Iterator[Suggestion]:
        """The suggestions of the rules; one draft is changed or removed by one of them only."""
        touched: set[str] = set()
        for order in orders:
            for proposal in order.proposals:
                drafts = {step.draft for step in proposal.steps if step.draft}
                if drafts & touched:
                    continue
                touched |= drafts
                actions = tuple(
                    self._draft_step(step, order, session, encounter) for step in proposal.steps
                )
                yield Suggestion(shorten(self.knowledge.language(proposal.label), 120), actions)

    def _draft_step(
        self, step: Step, order: OrderFinding, session: OrderSession, encounter: str | None
    ) -> Action:
        if step.type == "delete":
            said = self.knowledge.language(
                make_text("Remove {name} from this session", name=step.name)
            )
            return Action("delete", said, resource_id=step.draft)
        template = self.knowledge.templates.by_id[step.template or ""]
        if step.type == "create":
            reason = _find_reason(session.evaluation)
            return self._draft_action(template, session.chart, encounter, reason, order.rule.title)
        changed = update_draft(session.drafts[step.draft or ""], template.resource)
        said = make_text("{what} (check the quantity to dispense)", what=template.description)
        return Action("update", self.knowledge.language(said), changed, template=template.id)

    def _build_b12_card(self, session: OrderSession, encounter: str | None) -> Card:
        found, chart = session.evaluation, session.chart
        return self._build_card(
            summary=shorten(self._write_b12_summary(found)),
            indicator=b12_card.choose_indicator(found.b12),
            source=self._build_b12_source(found, b12_card.build_topic_code(found.b12.category)),
            detail=b12_detail(found.b12, chart, self.knowledge),
            suggestions=self._draft_b12_suggestions(found, chart, encounter),
            links=self.b12_links,
            rests_on=_build_marks(found.b12.evidence),
        )

    def _build_muscle_card(self, session: OrderSession, encounter: str | None) -> Card:
        found, chart = session.evaluation, session.chart
        definition = self.knowledge.muscle.definition
        return self._build_card(
            summary=shorten(muscle_card.write_summary(found, self.knowledge)),
            indicator=muscle_card.choose_indicator(found),
            source=Source(
                shorten(f"{definition.publisher}: {definition.title}", 160),
                definition.url,
                self._build_topic(
                    muscle_card.build_topic_code(found.muscle.category),
                    self.knowledge.language(
                        get_sentence(SarcopeniaCategory, found.muscle.category)
                    ),
                ),
            ),
            detail=muscle_card.write_detail(found, chart, self.knowledge, with_b12=False),
            suggestions=self._draft_muscle_suggestions(found, chart, encounter, recommends=True)[
                :MAX_SUGGESTIONS
            ],
            links=self.muscle_links,
            rests_on=_build_muscle_marks(found),
        )

    def _build_combined_card(self, session: OrderSession, encounter: str | None) -> Card:
        """B12 first: what is wrong with nerves never waits for muscle."""
        found, chart = session.evaluation, session.chart
        said = self._write_b12_summary(found)
        both = f"{said} {muscle_card.write_clause(found, self.knowledge.language)}".strip()
        of_b12 = self._draft_b12_suggestions(found, chart, encounter)
        of_muscle: tuple[Suggestion, ...] = ()
        if found.tier != Tier.T1 or found.muscle.positive or found.urgent:
            of_muscle = self._draft_muscle_suggestions(
                found, chart, encounter, recommends=not of_b12
            )
        kept = of_b12[: MAX_B12_SUGGESTIONS if of_muscle else MAX_SUGGESTIONS]
        if found.urgent:
            both = f"{muscle_card.write_summary(found, self.knowledge)} {said}"
            said = muscle_card.write_summary(found, self.knowledge)
        return self._build_card(
            summary=both if len(both) <= MAX_SUMMARY_LENGTH else shorten(said),
            indicator=max(
                b12_card.choose_indicator(found.b12),
                muscle_card.choose_indicator(found),
                key=INDICATORS_ASCENDING.index,
            ),
            source=self._build_b12_source(
                found, f"{b12_card.build_topic_code(found.b12.category)}{COMBINED_SUFFIX}"
            ),
            detail="\n\n".join(
                (
                    b12_detail(found.b12, chart, self.knowledge),
                    muscle_card.write_detail(found, chart, self.knowledge, with_b12=True),
                )
            ),
            suggestions=(*kept, *of_muscle)[:MAX_SUGGESTIONS_COMBINED],
            links=(*self.b12_links, *self.muscle_links),
            rests_on=_build_marks(found.b12.evidence) | _build_muscle_marks(found),
        )

    def _build_card(
        self,
        *,
        summary: str,
        indicator: Indicator,
        source: Source,
        detail: str,
        suggestions: tuple[Suggestion, ...],
        links: tuple[Link, ...],
        rests_on: frozenset[str],
    ) -> Card:
        return Card(
            summary=summary,
            indicator=indicator,
            source=source,
            detail=detail,
            suggestions=suggestions,
            selection_behavior="any" if suggestions else None,
            override_reasons=self.override_reasons,
            links=links,
            rests_on=rests_on,
        )

    def _build_b12_source(self, found: Evaluation, topic: str) -> Source:
        guideline = self.knowledge.b12.guideline
        return Source(
            shorten(f"{guideline.publisher}: {guideline.title}", 160),
            guideline.url,
            self._build_topic(
                topic, self.knowledge.language(get_sentence(B12Category, found.b12.category))
            ),
        )

    def _write_b12_summary(self, found: Evaluation) -> str:
        return " ".join(self._write_b12_sentences(found))

    def _write_b12_sentences(self, found: Evaluation) -> tuple[str, ...]:
        return b12_sentences(found.b12, self.knowledge.templates.locale, self.knowledge.language)

    def _build_topic(self, code: str, display: str) -> Coding:
        return Coding(code, f"{self.knowledge.index.base}/CodeSystem/card-topic", display)

    def _draft_b12_suggestions(
        self, found: Evaluation, chart: Chart, encounter: str | None
    ) -> tuple[Suggestion, ...]:
        reason, why = _find_reason(found), "Vitamin B12"
        if found.b12.category in CARD_CATEGORIES:
            why = get_sentence(B12Category, found.b12.category)
        offered = suggest_orders(found.b12, chart, self.knowledge.b12, self.knowledge.templates)
        made = []
        for place, template in enumerate(offered):
            action = self._draft_action(template, chart, encounter, reason, why)
            label: str = template.label
            if place and action.resource and action.resource["resourceType"] == "MedicationRequest":
                # Instead of the first, not beside it.
                label = make_text("Or {label}", label=lowercase_first(template.label))
            made.append(
                Suggestion(self.knowledge.language(label), (action,), is_recommended=place == 0)
            )
        return tuple(made)

    def _draft_muscle_suggestions(
        self, found: Evaluation, chart: Chart, encounter: str | None, *, recommends: bool
    ) -> tuple[Suggestion, ...]:
        reason = found.muscle.low[0].resource if found.muscle.low else None
        why = make_text(
            "Muscle: {stage}", stage=get_sentence(SarcopeniaCategory, found.muscle.category)
        )
        return tuple(
            Suggestion(
                self.knowledge.language(label),
                tuple(
                    self._draft_action(template, chart, encounter, reason, why)
                    for template in templates
                ),
                is_recommended=recommends and place == 0,
            )
            for place, (label, templates) in enumerate(
                muscle_card.select_panels(found, chart, self.knowledge)
            )
        )

    def _draft_action(
        self,
        template: OrderTemplate,
        chart: Chart,
        encounter: str | None,
        reason: str | None,
        why: str,
    ) -> Action:
        said = self.knowledge.language
        resource: dict[str, Any] = draft_order(
            template,
            chart.patient,
            f"Encounter/{encounter.rpartition('/')[2]}" if encounter else None,
        )
        if resource["resourceType"] in ("ServiceRequest", "MedicationRequest"):
            resource["reasonCode"] = [{"text": said(why)}]
        if reason is not None and REFERENCE.fullmatch(reason):
            match resource["resourceType"]:
                case "ServiceRequest" | "MedicationRequest":
                    resource["reasonReference"] = [{"reference": reason}]
                case "Condition":
                    resource["evidence"] = [{"detail": [{"reference": reason}]}]
        return Action("create", said(template.description), resource, template=template.id)


def _find_reason(found: Evaluation) -> str | None:
    """The result that decided, else the first result or condition that the finding rests on."""
    if found.b12.deciding:
        return found.b12.deciding.result.resource
    named = (e.resource for e in found.b12.evidence if e.resource)
    return next((name for name in named if name.startswith(("Observation/", "Condition/"))), None)


def _build_marks(evidence: Iterable[Evidence]) -> frozenset[str]:
    """What stands for results and conditions: a corrected value is another mark."""
    return frozenset(f"{e.rule}|{e.resource}|{e.value}|{e.unit}" for e in evidence if e.resource)


def _build_muscle_marks(found: Evaluation) -> frozenset[str]:
    pointers = (p for one in found.differential for p in one.resources)
    return _build_marks(found.muscle.evidence) | frozenset(f"pointer|{p}" for p in pointers)


def _join_summary(first: str, said: str | None, finding: str) -> str:
    """What is said of the order, then as much of the patient as there is room for."""
    if said is None:
        return shorten(first)
    whole = f"{first} {said}"
    if len(whole) <= MAX_SUMMARY_LENGTH:
        return whole
    short = f"{first} {finding}"
    return short if len(short) <= MAX_SUMMARY_LENGTH else shorten(first)


def _write_orders(orders: tuple[OrderFinding, ...], said: Language) -> str:
    told = "\n".join(
        f"- {said(o.text)} ({said('Source')}: {o.rule.source}, {said(o.rule.locator)})"
        for o in orders[:MAX_ORDERS]
    )
    return f"**{said('About the order')}**\n\n{told}"


def _is_drug(suggestion: Suggestion) -> bool:
    resources = (action.resource or {} for action in suggestion.actions)
    return any(resource.get("resourceType") == "MedicationRequest" for resource in resources)


def _is_forward(suggestion: Suggestion) -> bool:
    """Whether it does something besides taking an order away, which is never pre-selected."""
    return any(action.type != "delete" for action in suggestion.actions)


def update_draft(draft: Mapping[str, Any], order: Mapping[str, Any]) -> dict[str, Any]:
    """The whole draft with the drug and dosage of `order`; every other member as it came."""
    changed = {k: v for k, v in draft.items() if k not in ("medicationReference", "medication")}
    return changed | {
        "medicationCodeableConcept": order["medicationCodeableConcept"],
        "dosageInstruction": order["dosageInstruction"],
    }


def build_record(
    found: Evaluation, known: SiteKnowledge, suppressed: Iterable[str], topics: Iterable[str] = ()
) -> Mapping[str, Any]:
    """What the log and the records keep of an assessment: names, never values."""
    rules = [e.rule for e in found.b12.evidence]
    rules += [f"muscle:{e.rule}" for e in found.muscle.evidence]
    rules += [f"order:{topic}" for topic in topics if topic.startswith("order")]
    return {
        "findings": {"b12": found.b12.category, "sarcopenia": found.muscle.category},
        "tier": found.tier,
        "rules": list(dict.fromkeys(rules)),
        "suppressed": list(suppressed),
        "knowledge": {
            "b12": known.b12.guideline.label,
            "sarcopenia": known.muscle.definition.label,
        },
    }
