"""A fortnight of a hospital's calls, with and without attention: how often it interrupts.

    cd tests; python -m simulation.fortnight [--seed N] [--patients N] [--calls N]

Patients, encounters, drafts, what clinicians answer and which results come back are drawn from one
seed, each from its own place in it, so both runs meet the same hospital. The application is the
real one with records in SQLite; only its clock is the simulation's.
"""

import argparse
import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from patients import drug, observation, order, patient, resources

from cds_hooks.config.settings import Settings
from cds_hooks.protocol.card_history import EmptyCardHistory
from cds_hooks.protocol.service import Call
from cds_hooks.records.store import Records
from cds_hooks.telemetry.logs import stamp_event
from cds_hooks.web.app import create_app
from cds_hooks.web.context import Telemetry, make_context
from services.cards.composer import CardComposer
from services.hooks.catalog import (
    answer_call,
    build_services,
    read_attention_rules,
    read_call_chart,
)
from services.hooks.topics import TOPICS
from services.knowledge.site import load_knowledge

START = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
DAYS = 14
# What patients bring, and how many of a hundred. Most have nothing to do with B12 or muscle.
PEOPLE = {
    "": 38,
    "b12 420": 12,
    "rx metformin since 2022-01-01": 8,
    "rx metformin since 2022-01-01; +fatigue": 5,
    "+fatigue": 5,
    "b12 112": 3,
    "b12 112; +paraesthesia": 3,
    "b12 150; +ataxia; +cognitive_impairment": 1,
    "b12 112; +myelopathy": 1,
    "b12 212; +fatigue": 5,
    "b12 250": 4,
    "b12 212; +ataxia": 2,
    "mcv 104": 2,
    "rx hydroxocobalamin since 2026-01-01; +pernicious_anaemia": 4,
    "grip 14": 2,
    "grip 14; b12 112": 1,
    "+falls; +muscle_weakness": 3,
    "+leber_optic_neuropathy": 1,
}
# What is ordered in a session, and how many of a hundred.
ORDERS = {
    "order height": 40,
    "draft statin": 12,
    "draft metformin": 9,
    "draft proton_pump_inhibitor": 9,
    "order order_cbc": 8,
    "order total_b12": 6,
    "draft folic_acid dose 5000": 5,
    "draft folic_acid dose 400": 3,
    "draft systemic_corticosteroid": 3,
    "draft cyanocobalamin dose 50 route oral": 2,
    "draft nitrous_oxide": 2,
    "order methylmalonic_acid": 1,
}
ANSWERS = {"ignored": 45, "overridden": 40, "accepted": 15}
REASONS = ("action-completed", "not-convenient-feasible", "recipient-disagrees-evidence", "")
RESULTS = {
    "total_b12": ("b12 95", "b12 230", "b12 480"),
    "methylmalonic_acid": ("mma 0.2", "mma 0.7"),
}


def drawn(place: str, seed: int) -> random.Random:
    return random.Random(f"{seed}/{place}")


def _why(suppressed: str) -> str:
    """ "b12:already-drafted" as it is; of "snoozed:b12Indeterminate" the reason."""
    first, _, second = suppressed.partition(":")
    return second if first in ("b12", "muscle") else first


def one_of(weights: dict[str, int], chance: random.Random) -> str:
    return chance.choices(list(weights), list(weights.values()))[0]


@dataclass
class Patient:
    number: int
    born: str
    record: list[dict[str, Any]]
    waiting: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)  # results to come


@dataclass
class Tally:
    """What one run counted."""

    calls: int = 0
    cards: int = 0
    interrupted: int = 0  # calls with a card
    critical: int = 0
    withheld: Counter[str] = field(default_factory=Counter)
    by_hook: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)  # urgent findings that nobody was shown


class Hospital:
    """One run: the application, its clock, and the patients as they change."""

    days = DAYS

    def __init__(self, attention: dict[str, Any], seed: int, patients: int, folder: Path) -> None:
        self.seed, self.now, self.tally = seed, START, Tally()
        self.known = load_knowledge()
        self.maker = CardComposer.from_site(self.known, TOPICS, "https://cds.example")
        self.everything = read_attention_rules({"mode": "everything"}, self.known)
        records = Records.open(f"sqlite:///{folder / 'records.sqlite3'}")
        self.log: list[dict[str, Any]] = []
        app = create_app(
            make_context(
                {"local": build_services(self.known, "https://cds.example", attention)},
                Settings(),
                records,
                Telemetry(
                    structlog.wrap_logger(None, processors=[stamp_event, self._keep]), "simulation"
                ),
                clock=lambda: self.now,
            )
        )
        self.client = app.test_client()
        self.attentive = attention.get("mode") != "everything"
        self.shown: dict[tuple[int, str, str], datetime] = {}
        self.answered: dict[tuple[int, str], datetime] = {}
        self.patients = [self._patient(number) for number in range(patients)]

    def _keep(self, _logger: Any, _name: str, event: dict[str, Any]) -> Any:
        self.log.append(event)
        raise structlog.DropEvent

    def _patient(self, number: int) -> Patient:
        chance = drawn(f"patient {number}", self.seed)
        record, _ = resources(one_of(PEOPLE, chance).replace("@", " @"))
        for resource in record:
            resource["subject"] = {"reference": f"Patient/{number}"}
        return Patient(number, f"{chance.randint(1935, 1985)}-05-01", record)

    def run(self, calls: int) -> Tally:
        for at, number, encounter, hook, session in self._plan(calls):
            self.now = at
            one = self.patients[number]
            arrived = [result for due, result in one.waiting if due <= at]
            one.record += arrived
            one.waiting = [(due, result) for due, result in one.waiting if due > at]
            self._call(one, encounter, hook, session)
        return self.tally

    def _plan(self, calls: int) -> list[tuple[datetime, int, str, str, tuple[str, ...]]]:
        """Encounters over the fortnight: a chart opened, orders chosen, orders signed."""
        chance = drawn("plan", self.seed)
        plan: list[tuple[datetime, int, str, str, tuple[str, ...]]] = []
        visit = 0
        while len(plan) < calls:
            number = (
                visit % len(self.patients)
                if visit < len(self.patients)
                else chance.randrange(len(self.patients))
            )
            day = chance.randrange(self.days)
            at = START + timedelta(days=day, minutes=chance.randrange(540))
            orders = [one_of(ORDERS, chance) for _ in range(chance.choice((0, 1, 1, 2, 3)))]
            name = f"e{visit}"
            plan.append((at, number, name, "patient-view", ()))
            for place in range(len(orders)):
                at += timedelta(minutes=2)
                plan.append((at, number, name, "order-select", tuple(orders[: place + 1])))
            if orders:
                plan.append((at + timedelta(minutes=2), number, name, "order-sign", tuple(orders)))
            visit += 1
        return sorted(plan)

    def _call(self, one: Patient, encounter: str, hook: str, session: tuple[str, ...]) -> None:
        drafts = [
            (drug if text.startswith("draft") else order)(70 + place, text)
            for place, text in enumerate(session)
        ]
        for draft in drafts:
            draft["subject"] = {"reference": f"Patient/{one.number}"}
        body = self._build_body(one, encounter, hook, drafts)
        before = len(self.log)
        reply = self.client.post(f"/cds-services/b12-muscle-{hook}", json=body)
        assert reply.status_code == 200, reply.text
        cards = reply.json["cards"]
        [line] = [x for x in self.log[before:] if x["event"] == "decision"]
        tally = self.tally
        tally.calls += 1
        tally.cards += len(cards)
        tally.interrupted += bool(cards)
        tally.by_hook[hook] += len(cards)
        tally.critical += sum(card["indicator"] == "critical" for card in cards)
        tally.withheld.update(map(_why, line["suppressed"]))
        topics = {card["source"]["topic"]["code"] for card in cards}
        if self.attentive:
            self._audit(body, one, encounter, topics)
        for topic in topics:
            self.shown.setdefault((one.number, encounter, topic), self.now)
        for card in cards:
            self._answer(one, encounter, hook, card)

    def _build_body(
        self, one: Patient, encounter: str, hook: str, drafts: list[dict[str, Any]]
    ) -> dict[str, Any]:
        keys = {
            "observations": "Observation",
            "conditions": "Condition",
            "medications": "MedicationRequest",
            "service_requests": "ServiceRequest",
        }
        prefetch: dict[str, Any] = {
            key: {
                "resourceType": "Bundle",
                "entry": [{"resource": r} for r in one.record if r["resourceType"] == kind],
            }
            for key, kind in keys.items()
        }
        others = ("muscle_observations", "medication_statements", "procedures", "allergies")
        prefetch |= dict.fromkeys((*others, "questionnaire_responses"))
        prefetch["patient"] = {**patient(born=one.born), "id": str(one.number)}
        context: dict[str, Any] = {
            "userId": "Practitioner/1",
            "patientId": str(one.number),
            "encounterId": encounter,
        }
        if hook != "patient-view":
            context["draftOrders"] = {"entry": [{"resource": draft} for draft in drafts]}
        if hook == "order-select":
            context["selections"] = [f"{drafts[-1]['resourceType']}/{drafts[-1]['id']}"]
        return {
            "hook": hook,
            "hookInstance": str(UUID(int=self.tally.calls)),
            "context": context,
            "prefetch": prefetch,
        }

    def _audit(self, body: dict[str, Any], one: Patient, encounter: str, topics: set[str]) -> None:
        """Nothing critical is ever withheld; nothing urgent, but what was shown or answered."""
        from cds_hooks.protocol import prefetch
        from cds_hooks.protocol.hook_request import read_request

        request = read_request(body, body["hook"])
        service = f"b12-muscle-{request.hook}"
        templates = self.client.application.config.setdefault(
            "templates",
            {s.id: s.prefetch for s in build_services(self.known, "https://cds.example")},
        )
        answers = prefetch.read_prefetch(request, templates[service])
        call = Call(request, answers, self.now.date(), self.now, EmptyCardHistory())
        all_there_is = answer_call(
            call, read_call_chart(call, self.known), self.maker, self.everything[service]
        )
        found = all_there_is.evaluation
        urgent = found.b12.urgency in ("urgent", "emergency") or found.urgent is not None
        for card in all_there_is.cards:
            topic = card.source.topic.code if card.source.topic else ""
            if topic in topics:
                continue
            critical = card.indicator.value == "critical"
            seen = (one.number, encounter, topic) in self.shown
            said = self.answered.get((one.number, topic))
            if critical or (
                urgent and not seen and (said is None or self.now - said > timedelta(days=1))
            ):
                self.tally.missed.append(f"{self.now} {service} {topic}")

    def _answer(self, one: Patient, encounter: str, hook: str, card: dict[str, Any]) -> None:
        topic = card["source"]["topic"]["code"]
        chance = drawn(f"answer {one.number} {encounter} {hook} {topic}", self.seed)
        what = one_of(self._answers(topic), chance)
        at = (self.now + timedelta(seconds=30)).isoformat()
        item: dict[str, Any] = {"card": card["uuid"], "outcome": what, "outcomeTimestamp": at}
        if what == "ignored":
            return
        self.answered[one.number, topic] = self.now
        if what == "accepted":
            if not card.get("suggestions"):
                return
            suggestion = card["suggestions"][0]
            item["acceptedSuggestions"] = [{"id": suggestion["uuid"]}]
            for action in suggestion["actions"]:
                self._carry_out(one, action, chance)
        elif reason := chance.choice(REASONS):
            item["overrideReason"] = {"reason": {"code": reason, "system": "s"}}
        path = f"/cds-services/b12-muscle-{hook}/feedback"
        assert self.client.post(path, json={"feedback": [item]}).status_code == 200

    def _answers(self, _topic: str) -> dict[str, int]:
        return ANSWERS

    def _carry_out(self, one: Patient, action: dict[str, Any], chance: random.Random) -> None:
        """An order signed; a test's result comes back some days later."""
        if action["type"] != "create":
            return
        made = {**action["resource"], "id": f"a{len(one.record)}x{self.tally.calls}"}
        made |= {"status": "active", "intent": "order", "authoredOn": self.now.date().isoformat()}
        one.record.append(made)
        for concept, results in RESULTS.items():
            if made.get("instantiatesUri", [""])[0].endswith(f"/{concept}"):
                due = self.now + timedelta(days=chance.randint(1, 4))
                text = f"{chance.choice(results)} @{due.date().isoformat()}"
                result = observation(900 + len(one.record), text)
                result["subject"] = {"reference": f"Patient/{one.number}"}
                one.waiting.append((due, result))


def simulate(seed: int = 7, patients: int = 320, calls: int = 2000) -> Iterator[tuple[str, Tally]]:
    """One run without attention and one with."""
    for mode in ("everything", "on"):
        with tempfile.TemporaryDirectory() as folder:
            yield mode, Hospital({"mode": mode}, seed, patients, Path(folder)).run(calls)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--patients", type=int, default=320)
    parser.add_argument("--calls", type=int, default=2000)
    options = parser.parse_args()
    for mode, tally in simulate(options.seed, options.patients, options.calls):
        per = 100 / tally.calls
        print(
            f"attention {'off' if mode == 'everything' else 'on':>3}: {tally.calls} calls, "
            f"{tally.cards * per:.1f} cards per 100 calls, {tally.interrupted * per:.1f} calls of "
            f"100 with a card, {tally.critical} critical; by hook {dict(tally.by_hook)}; "
            f"withheld {dict(tally.withheld.most_common())}"
        )
        if mode == "on":
            print(f"urgent findings withheld unseen: {tally.missed or 'none'}")


if __name__ == "__main__":
    main()
