"""One card for a patient: about B12, about muscle, or about both together."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from cds_hooks.protocol.cards import (
    SUMMARY_LENGTH,
    Action,
    Card,
    Coding,
    Indicator,
    Link,
    Source,
    Suggestion,
    shorten,
)
from mappings.actions.order_template import OrderTemplate, draft
from mappings.knowledge_file import CLINICAL, read_toml
from mappings.text import say, small
from services.assessment.evidence import Evidence
from services.cards import b12 as b12_card
from services.cards import muscle as muscle_card
from services.cards.attention import AND_MUSCLE, Candidate
from services.cards.b12 import detail as b12_detail
from services.cards.b12_summary import sentences as b12_sentences
from services.chart.model import Chart
from services.evaluation.combination import Together
from services.evaluation.order_rules import order_findings, require_words
from services.evaluation.order_session import OrderFinding, Session, Step
from services.knowledge.language import Language
from services.knowledge.site import Known
from services.sarcopenia.labels import CATEGORIES
from services.vitamin_b12.labels import TITLES
from services.vitamin_b12.orders import suggested

REFERENCE = re.compile(r"[A-Za-z]+/[A-Za-z0-9.-]{1,64}")
INDICATORS = (Indicator.INFO, Indicator.WARNING, Indicator.CRITICAL)
MOST = 4  # suggestions on a card about one axis
MOST_OF_BOTH = 5
MOST_ORDERS = 3
# What these rules ask for first is the treatment; taking the draft away comes after it.
# Cases whose words leave nothing to add about the patient.
SAYS_IT_ALL = frozenset({"level", "unknown", "unknown-with-reason"})
AFTER_TREATMENT = frozenset({"folic-acid", "nitrous-oxide"})
OF_B12 = 3  # of them at most, where muscle has orders of its own


def order_topic(rule: str) -> str:
    """The stable, alphanumeric code of cards about orders that a rule leads."""
    return f"order{''.join(part.capitalize() for part in rule.split('-'))}"


@dataclass(frozen=True, slots=True)
class CardMaker:
    """Makes cards from assessments; everything that is the same for each is made at start."""

    known: Known
    b12_links: tuple[Link, ...]
    muscle_links: tuple[Link, ...]
    reasons: tuple[Coding, ...]
    orders_link: Link
    app: Link | None = None  # to the SMART app, where the EHR has one

    @classmethod
    def at_start(cls, known: Known, base_url: str, *, app: bool = False) -> "CardMaker":
        require_words(known.order_rules)
        said = known.language
        guideline, definition = known.b12.guideline, known.muscle.definition
        reasons = read_toml(CLINICAL / "override_reasons.toml")
        evidence = f"{base_url}/evidence"
        return cls(
            known=known,
            b12_links=(
                Link(said("The limits and their sources"), f"{evidence}/{quote(guideline.id)}"),
                Link(
                    shorten(
                        said(say("{publisher}: the guideline", publisher=guideline.publisher)), 80
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
            reasons=tuple(
                Coding(reason["code"], reasons["system"], known.language(reason["display"]))
                for reason in reasons["reasons"]
            ),
            orders_link=Link(said("What is said of orders, and why"), f"{evidence}/orders"),
            app=Link(said("Trends and details"), f"{base_url}/smart/launch", "smart")
            if app
            else None,
        )

    def candidates(
        self,
        session: Session,
        encounter: str | None,
        unheard: Mapping[str, str],
        *,
        everything: bool = False,
    ) -> tuple[tuple[Candidate, ...], tuple[str, ...]]:
        """The cards there is reason to show, and what is withheld before attention is asked.

        `unheard` are rules that do not speak here, each with why: "off", "silent", "audience".
        With `everything`, findings that have nothing to do with the orders are said too.
        """
        found, chart = session.found, session.chart
        orders = () if chart.deceased else order_findings(session)
        withheld = [f"{unheard[o.rule.id]}:{o.rule.id}" for o in orders if o.rule.id in unheard]
        orders = tuple(order for order in orders if order.rule.id not in unheard)
        speaks = {}
        for axis, (worth, why) in (
            ("b12", b12_card.worth_showing(found.b12, session)),
            ("muscle", muscle_card.worth_showing(found, chart)),
        ):
            reason = why
            if worth and axis in unheard:
                reason = f"{unheard[axis]}:{axis}"
            elif worth and not everything:
                reason = self._aside(axis, session, orders)
            if reason:
                withheld.append(reason)
            speaks[axis] = worth and reason is None
        composed = self._compose(session, encounter, orders, speaks)
        return tuple(self._with_app(one, session) for one in composed), tuple(withheld)

    def _with_app(self, candidate: Candidate, session: Session) -> Candidate:
        """With a link to the app, which is told what the card is about, and nothing of whom."""
        if self.app is None:
            return candidate
        about = {"topic": candidate.topic, **({"hook": session.hook} if session.hook else {})}
        link = replace(self.app, app_context=json.dumps(about))
        card = replace(candidate.card, links=(*candidate.card.links, link))
        return replace(candidate, card=card)

    def _aside(self, axis: str, session: Session, orders: tuple[OrderFinding, ...]) -> str | None:
        """Why a finding about the patient does not belong beside these orders; None: it does.

        While an order is chosen only what concerns it is said; before signing, warnings are said
        once more. What is urgent is said at any hook.
        """
        if not session.is_about_orders or any(order.rule.problem == axis for order in orders):
            return None
        found, chart = session.found, session.chart
        urgent = found.b12.urgent if axis == "b12" else found.urgent is not None
        if axis == "b12" and not urgent and self._nothing_to_do(session):
            return "b12:nothing-to-do"
        group = session.group(f"{axis}_order")
        related = any(True for _ in chart.drafted(group)) or any(
            True for _ in chart.ordering(group)
        )
        if urgent or related:
            return None
        loud = b12_card.indicator(found.b12) if axis == "b12" else muscle_card.indicator(found)
        if not session.is_selecting and loud is not Indicator.INFO:
            return None
        return f"{axis}:not-about-these-orders"

    def _nothing_to_do(self, session: Session) -> bool:
        """Whether the finding neither presses nor asks for anything: no reason to interrupt."""
        b12 = session.found.b12
        return (
            b12.urgency in ("none", "routine")
            and b12_card.indicator(b12) is Indicator.INFO
            and not suggested(b12, session.chart, self.known.b12, self.known.templates)
        )

    def _compose(
        self,
        session: Session,
        encounter: str | None,
        orders: tuple[OrderFinding, ...],
        speaks: Mapping[str, bool],
    ) -> Iterator[Candidate]:
        """One card for each problem; one for both where both axes speak."""
        found = session.found
        finding = self._finding(found, speaks) if orders else ""
        of_b12 = tuple(order for order in orders if order.rule.problem == "b12")
        of_muscle = tuple(order for order in orders if order.rule.problem == "muscle")
        if speaks["b12"] and speaks["muscle"]:
            urgent = found.b12.urgent or found.urgent is not None
            card = self._of_both(session, encounter)
            yield self._led(card, finding, orders, session, encounter, urgent=urgent)
            return
        if speaks["b12"]:
            card = self._of_b12(session, encounter)
            yield self._led(card, finding, of_b12, session, encounter, urgent=found.b12.urgent)
        elif of_b12:
            yield self._led(None, "", of_b12, session, encounter, urgent=found.b12.urgent)
        if speaks["muscle"]:
            card, urgent = self._of_muscle(session, encounter), found.urgent is not None
            yield self._led(card, finding, of_muscle, session, encounter, urgent=urgent)
        elif of_muscle:
            yield self._led(None, "", of_muscle, session, encounter, urgent=False)

    def _finding(self, found: Together, speaks: Mapping[str, bool]) -> str:
        """The first sentence of the summary, which says what is found and not what to do."""
        if speaks["muscle"] and (found.urgent is not None or not speaks["b12"]):
            return muscle_card.sentences(found, self.known)[0]
        return self._b12_sentences(found)[0] if speaks["b12"] else ""

    def _led(
        self,
        card: Card | None,
        finding: str,
        orders: tuple[OrderFinding, ...],
        session: Session,
        encounter: str | None,
        *,
        urgent: bool,
    ) -> Candidate:
        """`card` with what is to be said of the orders put first; without orders, as it is.

        `finding` is the first sentence of the card's summary; needed only where there are orders.
        """
        if not orders:
            if card is None or card.source.topic is None:
                raise ValueError("a candidate needs a card, and the card a topic")
            return Candidate(card, card.source.topic.code, urgent)
        first, said = orders[0], self.known.language
        topic = order_topic(first.rule.id)
        proposed = tuple(self._proposed(orders, session, encounter))
        held = card.suggestions if card else ()
        made = {a.template for s in held for a in s.actions if a.template}
        proposed = tuple(
            s for s in proposed if not ({a.template for a in s.actions if a.template} & made)
        )
        treatments = tuple(s for s in held if _is_drug(s))
        ordered = (*proposed, *held)
        if first.rule.id in AFTER_TREATMENT:
            ordered = (*treatments, *proposed, *(s for s in held if s not in treatments))
        most = MOST_OF_BOTH if card and len(held) > MOST else MOST
        suggestions = tuple(
            replace(s, is_recommended=place == 0 and _is_forward(s))
            for place, s in enumerate(ordered[:most])
        )
        loud = [Indicator(order.indicator) for order in orders]
        if card:
            loud.append(card.indicator)
        led = self._card(
            summary=_lead(
                said(first.summary), self._beside_in_short(card, finding, first), finding
            ),
            indicator=max(loud, key=INDICATORS.index),
            source=Source(
                shorten(first.rule.source, 160),
                self._url_of(first),
                self._topic(topic, said(first.rule.title)),
            ),
            detail="\n\n".join(
                part
                for part in (_of_orders(orders, said), self._beside(card, first, session))
                if part
            ),
            suggestions=suggestions,
            links=card.links if card else (self.orders_link, *self._links_of(first)),
            rests_on=(card.rests_on if card else frozenset())
            | {f"{order.rule.id}|{mark}" for order in orders for mark in order.about},
        )
        return Candidate(led, topic, urgent)

    def _url_of(self, order: OrderFinding) -> str:
        """Where the rule's source is; where it names several, the page that lists them."""
        return order.rule.url or self.orders_link.url

    def _links_of(self, order: OrderFinding) -> tuple[Link, ...]:
        return (self.b12_links if order.rule.problem == "b12" else self.muscle_links)[:1]

    def _beside_in_short(self, card: Card | None, finding: str, first: OrderFinding) -> str | None:
        """What the summary adds about the patient, where the words on the order leave it open."""
        if card is None or first.case in SAYS_IT_ALL:
            return None
        return finding if first.case == "uncertain" else card.summary

    def _beside(self, card: Card | None, first: OrderFinding, session: Session) -> str:
        """What is known of the patient, and what could not be checked."""
        if card is not None:
            return card.detail or ""
        if first.rule.problem == "b12":
            return b12_detail(session.found.b12, session.chart, self.known)
        return muscle_card.all_gaps(session.chart, self.known.language)

    def _proposed(
        self, orders: tuple[OrderFinding, ...], session: Session, encounter: str | None
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
                    self._step(step, order, session, encounter) for step in proposal.steps
                )
                yield Suggestion(shorten(self.known.language(proposal.label), 120), actions)

    def _step(
        self, step: Step, order: OrderFinding, session: Session, encounter: str | None
    ) -> Action:
        if step.type == "delete":
            said = self.known.language(say("Remove {name} from this session", name=step.name))
            return Action("delete", said, resource_id=step.draft)
        template = self.known.templates.by_id[step.template or ""]
        if step.type == "create":
            reason = _reason_of(session.found)
            return self._action(template, session.chart, encounter, reason, order.rule.title)
        changed = changed_draft(session.drafts[step.draft or ""], template.resource)
        said = say("{what} (check the quantity to dispense)", what=template.description)
        return Action("update", self.known.language(said), changed, template=template.id)

    def _of_b12(self, session: Session, encounter: str | None) -> Card:
        found, chart = session.found, session.chart
        return self._card(
            summary=shorten(self._b12_summary(found)),
            indicator=b12_card.indicator(found.b12),
            source=self._b12_source(found, b12_card.topic(found.b12.category)),
            detail=b12_detail(found.b12, chart, self.known),
            suggestions=self._b12_suggestions(found, chart, encounter),
            links=self.b12_links,
            rests_on=_marks(found.b12.evidence),
        )

    def _of_muscle(self, session: Session, encounter: str | None) -> Card:
        found, chart = session.found, session.chart
        definition = self.known.muscle.definition
        return self._card(
            summary=shorten(muscle_card.summary(found, self.known)),
            indicator=muscle_card.indicator(found),
            source=Source(
                shorten(f"{definition.publisher}: {definition.title}", 160),
                definition.url,
                self._topic(
                    muscle_card.topic(found.muscle.category),
                    self.known.language(CATEGORIES[found.muscle.category]),
                ),
            ),
            detail=muscle_card.detail(found, chart, self.known, with_b12=False),
            suggestions=self._muscle_suggestions(found, chart, encounter, recommends=True)[:MOST],
            links=self.muscle_links,
            rests_on=_muscle_marks(found),
        )

    def _of_both(self, session: Session, encounter: str | None) -> Card:
        """B12 first: what is wrong with nerves never waits for muscle."""
        found, chart = session.found, session.chart
        said = self._b12_summary(found)
        both = f"{said} {muscle_card.clause(found, self.known.language)}".strip()
        of_b12 = self._b12_suggestions(found, chart, encounter)
        of_muscle: tuple[Suggestion, ...] = ()
        if found.tier != "T1" or found.muscle.positive or found.urgent:
            of_muscle = self._muscle_suggestions(found, chart, encounter, recommends=not of_b12)
        kept = of_b12[: OF_B12 if of_muscle else MOST]
        if found.urgent:
            both = f"{muscle_card.summary(found, self.known)} {said}"
            said = muscle_card.summary(found, self.known)
        return self._card(
            summary=both if len(both) <= SUMMARY_LENGTH else shorten(said),
            indicator=max(
                b12_card.indicator(found.b12),
                muscle_card.indicator(found),
                key=INDICATORS.index,
            ),
            source=self._b12_source(found, f"{b12_card.topic(found.b12.category)}{AND_MUSCLE}"),
            detail="\n\n".join(
                (
                    b12_detail(found.b12, chart, self.known),
                    muscle_card.detail(found, chart, self.known, with_b12=True),
                )
            ),
            suggestions=(*kept, *of_muscle)[:MOST_OF_BOTH],
            links=(*self.b12_links, *self.muscle_links),
            rests_on=_marks(found.b12.evidence) | _muscle_marks(found),
        )

    def _card(
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
            override_reasons=self.reasons,
            links=links,
            rests_on=rests_on,
        )

    def _b12_source(self, found: Together, topic: str) -> Source:
        guideline = self.known.b12.guideline
        return Source(
            shorten(f"{guideline.publisher}: {guideline.title}", 160),
            guideline.url,
            self._topic(topic, self.known.language(TITLES[found.b12.category])),
        )

    def _b12_summary(self, found: Together) -> str:
        return " ".join(self._b12_sentences(found))

    def _b12_sentences(self, found: Together) -> tuple[str, ...]:
        return b12_sentences(found.b12, self.known.templates.locale, self.known.language)

    def _topic(self, code: str, display: str) -> Coding:
        return Coding(code, f"{self.known.index.base}/CodeSystem/card-topic", display)

    def _b12_suggestions(
        self, found: Together, chart: Chart, encounter: str | None
    ) -> tuple[Suggestion, ...]:
        reason, why = _reason_of(found), TITLES.get(found.b12.category, "Vitamin B12")
        offered = suggested(found.b12, chart, self.known.b12, self.known.templates)
        made = []
        for place, template in enumerate(offered):
            action = self._action(template, chart, encounter, reason, why)
            label: str = template.label
            if place and action.resource and action.resource["resourceType"] == "MedicationRequest":
                # Instead of the first, not beside it.
                label = say("Or {label}", label=small(template.label))
            made.append(
                Suggestion(self.known.language(label), (action,), is_recommended=place == 0)
            )
        return tuple(made)

    def _muscle_suggestions(
        self, found: Together, chart: Chart, encounter: str | None, *, recommends: bool
    ) -> tuple[Suggestion, ...]:
        reason = found.muscle.low[0].resource if found.muscle.low else None
        why = say("Muscle: {stage}", stage=CATEGORIES[found.muscle.category])
        return tuple(
            Suggestion(
                self.known.language(label),
                tuple(
                    self._action(template, chart, encounter, reason, why) for template in templates
                ),
                is_recommended=recommends and place == 0,
            )
            for place, (label, templates) in enumerate(muscle_card.panels(found, chart, self.known))
        )

    def _action(
        self,
        template: OrderTemplate,
        chart: Chart,
        encounter: str | None,
        reason: str | None,
        why: str,
    ) -> Action:
        said = self.known.language
        resource: dict[str, Any] = draft(
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


def _reason_of(found: Together) -> str | None:
    """The result that decided, else the first result or condition that the finding rests on."""
    if found.b12.deciding:
        return found.b12.deciding.result.resource
    named = (e.resource for e in found.b12.evidence if e.resource)
    return next((name for name in named if name.startswith(("Observation/", "Condition/"))), None)


def _marks(evidence: Iterable[Evidence]) -> frozenset[str]:
    """What stands for results and conditions: a corrected value is another mark."""
    return frozenset(f"{e.rule}|{e.resource}|{e.value}|{e.unit}" for e in evidence if e.resource)


def _muscle_marks(found: Together) -> frozenset[str]:
    pointers = (p for one in found.differential for p in one.pointers)
    return _marks(found.muscle.evidence) | frozenset(f"pointer|{p}" for p in pointers)


def _lead(first: str, said: str | None, finding: str) -> str:
    """What is said of the order, then as much of the patient as there is room for."""
    if said is None:
        return shorten(first)
    whole = f"{first} {said}"
    if len(whole) <= SUMMARY_LENGTH:
        return whole
    short = f"{first} {finding}"
    return short if len(short) <= SUMMARY_LENGTH else shorten(first)


def _of_orders(orders: tuple[OrderFinding, ...], said: Language) -> str:
    told = "\n".join(
        f"- {said(o.says)} ({said('Source')}: {o.rule.source}, {said(o.rule.locator)})"
        for o in orders[:MOST_ORDERS]
    )
    return f"**{said('About the order')}**\n\n{told}"


def _is_drug(suggestion: Suggestion) -> bool:
    resources = (action.resource or {} for action in suggestion.actions)
    return any(resource.get("resourceType") == "MedicationRequest" for resource in resources)


def _is_forward(suggestion: Suggestion) -> bool:
    """Whether it does something besides taking an order away, which is never pre-selected."""
    return any(action.type != "delete" for action in suggestion.actions)


def changed_draft(draft: Mapping[str, Any], order: Mapping[str, Any]) -> dict[str, Any]:
    """The whole draft with the drug and dosage of `order`; every other member as it came."""
    changed = {k: v for k, v in draft.items() if k not in ("medicationReference", "medication")}
    return changed | {
        "medicationCodeableConcept": order["medicationCodeableConcept"],
        "dosageInstruction": order["dosageInstruction"],
    }


def record_of(
    found: Together, known: Known, suppressed: Iterable[str], topics: Iterable[str] = ()
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
