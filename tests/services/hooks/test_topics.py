"""A topic is one class and one registration: a test adds its own, and cards and records have it.

Iron here is made up, as are its rule (haemoglobin below 100 g/L is low) and its publication.
"""

import sqlite3
from contextlib import closing
from typing import NamedTuple

import pytest
from order_sessions import hook_call
from patients import chart, known
from structlog import DropEvent, wrap_logger
from tables import cases

from cds_hooks.config.settings import Settings
from cds_hooks.config.tenants import LOCAL_TENANT
from cds_hooks.protocol.cards import Indicator, Link
from cds_hooks.records.store import Records
from cds_hooks.telemetry.metrics import Metrics
from cds_hooks.web.app import create_app
from services.assessment.evidence import Evidence, Outcome
from services.cards.card_parts import (
    CardPart,
    Verdict,
    build_marks,
    build_source,
    build_topic,
    build_topic_code,
)
from services.cards.composer import CardComposer, build_record
from services.evaluation.evaluate import as_json, evaluate
from services.evaluation.order_session import OrderSession
from services.evaluation.topic import list_labels
from services.hooks import catalog
from services.hooks.catalog import build_services
from services.hooks.topics import TOPICS


class IronAssessment(NamedTuple):
    category: str
    evidence: tuple[Evidence, ...] = ()
    urgent: bool = False


class Iron:
    id = "iron"
    problem = "iron"
    title = "Iron"
    rule_prefix = "iron:"

    def assess(self, chart, knowledge):  # has none of its own
        result = chart.get_latest("hemoglobin")
        if result is None or result.value >= 100:
            return IronAssessment("no_action")
        evidence = Evidence(
            "low-haemoglobin",
            Outcome.LOW,
            "Haemoglobin",
            resource=result.resource,
            value=result.value,
        )
        return IronAssessment("low", (evidence,))

    def get_label(self, knowledge):
        return "made-up-iron@1.0.0"

    def list_codes(self):
        return [("ironLow", "Low iron")]

    def should_show(self, session):
        return Verdict(session.evaluation.assessments["iron"].category == "low")

    def is_urgent(self, evaluation):
        return False

    def has_action(self, session):
        return True

    def list_order_concepts(self, session):
        return ("order_cbc",)

    def choose_indicator(self, evaluation):
        return Indicator.INFO

    def build_links(self, knowledge, base_url):
        return (Link("Iron: the limits", f"{base_url}/evidence/made-up-iron"),)

    def build_part(self, session, others):
        assessment = session.evaluation.assessments["iron"]
        topic = build_topic(
            build_topic_code(self.problem, assessment.category), "Low iron", session.knowledge
        )
        return CardPart(
            sentences=("Haemoglobin is low: think of iron.",),
            clause="Think of iron.",
            indicator=Indicator.INFO,
            source=build_source("Nobody: made up", "https://example.org/iron", topic),
            detail="**Iron:** low.",
            suggestions=(),
            marks=build_marks(assessment.evidence),
            is_urgent=False,
        )

    def describe_patient(self, session):
        return ""


WITH_IRON = (*TOPICS, Iron())
BASE = "https://cds.example"


@pytest.fixture
def iron(monkeypatch):
    """The topic among those that the services evaluate."""
    monkeypatch.setattr(catalog, "TOPICS", WITH_IRON)


def session(record, topics=WITH_IRON, **members):
    patient = chart(record)
    return OrderSession(patient, evaluate(patient, known(), topics), known(), **members)


def compose(record):
    composer = CardComposer.from_site(known(), WITH_IRON, BASE)
    candidates, _ = composer.draft_candidates(session(record), {})
    return candidates


@cases("""
    patient                   | card                         | summary has
    hb 130                    | none                         |
    hb 90                     | ironLow                      | Haemoglobin is low
    b12 112; hb 90            | b12DeficientAndIron          | Think of iron.
    grip 14; hb 90            | muscleProbableAndIron        | Think of iron.
    b12 212; grip 14; hb 90   | b12IndeterminateAndMuscleAndIron | probable sarcopenia
    b12 112; hb 130           | b12Deficient                 | deficient
""")
def test_a_card_about_all_that_is_found(case):
    candidates = compose(case["patient"])
    assert ([one.topic for one in candidates] or ["none"]) == [case["card"]]
    assert all(case["summary has"] in one.card.summary for one in candidates)


def test_a_card_has_a_part_of_each_topic():
    [candidate] = compose("b12 112; grip 14; hb 90")
    card = candidate.card
    assert card.detail.index("| Result |") < card.detail.index("**Muscle, by")
    assert card.detail.endswith("**Iron:** low.")
    assert card.links[-1].url == f"{BASE}/evidence/made-up-iron"
    assert any(mark.startswith("low-haemoglobin|") for mark in card.rests_on)


def test_a_card_about_one_topic_repeats_one_about_several():
    [candidate] = compose("b12 112; hb 130")
    assert candidate.combined_topics == (
        "b12DeficientAndMuscle",
        "b12DeficientAndIron",
        "b12DeficientAndMuscleAndIron",
    )


def test_beside_orders_only_what_concerns_them():
    composer = CardComposer.from_site(known(), WITH_IRON, BASE)
    beside = session("hb 90", is_about_orders=True, is_selecting=True)
    assert composer.draft_candidates(beside, {}) == ((), ("iron:not-about-these-orders",))
    assert composer.draft_candidates(beside, {"iron": "silent"}) == ((), ("silent:iron",))


def test_the_record_has_its_finding_rules_and_publication():
    record = build_record(session("b12 212; hb 90").evaluation, known(), WITH_IRON, ())
    assert record["findings"]["iron"] == "low"
    assert list(record["findings"]) == list(record["knowledge"]) == ["b12", "sarcopenia", "iron"]
    assert "iron:low-haemoglobin" in record["rules"]
    assert record["knowledge"]["iron"] == list_labels(known(), WITH_IRON)["iron"]


def test_the_assessment_of_b12_and_muscle_stays_as_it_was():
    patient = chart("b12 112; grip 14; hb 90")
    plain, others = (evaluate(patient, known(), topics) for topics in (TOPICS, WITH_IRON))
    assert as_json(patient, plain) == as_json(patient, others)


def test_a_call_is_answered_recorded_and_logged(asked, iron, tmp_path):
    reply, _, lines = asked(None, hook_call("b12 112; hb 90", [], "patient-view"))
    [card] = reply.json["cards"]
    assert card["source"]["topic"]["code"] == "b12DeficientAndIron"
    [line] = [line for line in lines if line["event"] == "decision"]
    findings = {"b12": "deficient", "sarcopenia": "not_assessed", "iron": "low"}
    assert line["findings"] == findings
    with closing(sqlite3.connect(tmp_path / "records.sqlite3")) as database:
        rows = database.execute("SELECT topic, category FROM finding").fetchall()
    assert dict(rows) == findings


def test_a_site_can_silence_it(asked, iron):
    attention = {"silent": ["iron"]}
    reply, _, _ = asked(None, hook_call("hb 90", [], "patient-view"), attention)
    assert reply.json["cards"] == []


def test_its_cards_are_counted(tmp_path, iron):
    def drop(*_):
        raise DropEvent

    metrics = Metrics()
    app = create_app(
        {"local": build_services(known(), BASE)},
        Settings(tenants=(LOCAL_TENANT,)),
        Records.open(f"sqlite:///{tmp_path / 'records.sqlite3'}"),
        wrap_logger(None, processors=[drop]),
        version="test",
        metrics=metrics,
    )
    call = hook_call("hb 90", [], "patient-view")
    app.test_client().post("/cds-services/b12-muscle-patient-view", json=call)
    labels = {"tenant": "local", "topic": "ironLow", "indicator": "info"}
    assert metrics.registry.get_sample_value("cobalamin_cards_total", labels) == 1
