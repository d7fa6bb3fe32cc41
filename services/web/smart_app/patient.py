"""Whose chart is open, what of it could be looked up, and what was not used."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple

from cds_hooks.protocol.prefetch import PrefetchAnswer, PrefetchState
from mappings.text import make_text
from services.assessment.labels import RECORD_PARTS, find_reason
from services.cards.muscle_detail import GAPS
from services.chart.fhir_values import as_list, parse_date_span
from services.chart.model import Chart
from services.chart.reader import read_chart
from services.knowledge.site import SiteKnowledge
from services.web.smart_app.session import LaunchSession
from services.web.smart_app.text import PageTranslator

PREFERRED_NAME_USES = ("official", "usual")  # uses of a name, the best first
STATES = {
    "found": "looked up",
    "none": "looked up, nothing there",
    "failed": "could not be looked up",
    "left out": "was not looked up",
    "partly": "looked up in part",
}
# By how the topic of the card begins that the app was opened from.
CARDS = {
    "b12": "Opened from a card about vitamin B12.",
    "muscle": "Opened from a card about muscle.",
    "order": "Opened from a card about an order; what is said of the order stands on the card.",
}
ANSWER_TITLES = {**RECORD_PARTS, **GAPS}


@dataclass(frozen=True, slots=True)
class Person:
    """Who it is, as the record has it. The record's id is never shown."""

    name: str | None
    born: str | None


class DataStatus(NamedTuple):
    """One thing that was looked up."""

    says: str
    state: str
    number: int
    is_available: bool


def read_patient_chart(session: LaunchSession, knowledge: SiteKnowledge, today: date) -> Chart:
    """The chart of the patient of a launch; another patient's resources stop here."""
    answers = session.answers.values()
    return read_chart(
        (resource for answer in answers for resource in answer.resources),
        session.patient_id,
        knowledge.chart_knowledge,
        today=today,
        last=today + timedelta(days=1),  # a patient's calendar may be ahead of our clock
        unknown=[answer.key for answer in answers if not answer.is_known],
        incomplete=[answer.key for answer in answers if not answer.is_complete],
    )


def read_person(session: LaunchSession, words: PageTranslator) -> Person:
    """Name and birth date, where the Patient resource was had and has them."""
    answer = session.answers.get("patient")
    for resource in answer.resources if answer else ():
        if resource.get("resourceType") == "Patient" and resource.get("id") == session.patient_id:
            return Person(_read_name(resource), _format_birth_date(resource, words))
    return Person(None, None)


def _read_name(patient: Mapping[str, Any]) -> str | None:
    names = [name for name in as_list(patient.get("name")) if isinstance(name, dict)]
    names.sort(
        key=lambda name: (
            PREFERRED_NAME_USES.index(name["use"]) if name.get("use") in PREFERRED_NAME_USES else 9
        )
    )
    for name in names:
        if isinstance(name.get("text"), str) and name["text"].strip():
            return str(name["text"]).strip()
        parts = [
            part
            for part in _list_texts(name.get("given")) + _list_texts(name.get("family"))
            if part
        ]
        if parts:
            return " ".join(parts)
    return None


def _list_texts(value: object) -> list[str]:
    """One text, or several as DSTU2 has a family name."""
    values = value if isinstance(value, list) else [value]
    return [text.strip() for text in values if isinstance(text, str)]


def _format_birth_date(patient: Mapping[str, Any], words: PageTranslator) -> str | None:
    span = parse_date_span(patient.get("birthDate"))
    if span is None:
        return None
    if span[0] == span[1]:
        return words.format_day(span[0])
    return str(patient["birthDate"])  # a year, or a year and a month, as it stands


def find_card_text(session: LaunchSession) -> str | None:
    """What the card was about that the app was opened from; None where it was no card of ours."""
    topic = session.app_context.get("topic")
    begins = (begin for begin in CARDS if isinstance(topic, str) and topic.startswith(begin))
    return next((CARDS[begin] for begin in begins), None)


def list_data_status(session: LaunchSession, words: PageTranslator) -> tuple[DataStatus, ...]:
    """What was looked up: found, nothing there, and not to be had are three things."""
    return tuple(
        DataStatus(
            says=words.capitalise(ANSWER_TITLES.get(answer.key, answer.key)),
            state=words(STATES[_find_state(answer)]),
            number=len(answer.resources),
            is_available=answer.is_known and answer.is_complete,
        )
        for answer in session.answers.values()
    )


def _find_state(answer: PrefetchAnswer) -> str:
    if answer.state is PrefetchState.FOUND and not answer.is_complete:
        return "partly"
    return answer.state.value


def count_unused(chart: Chart, words: PageTranslator) -> Iterator[tuple[str, int]]:
    """Resources that were had and not used: why, and how many."""
    for reason, number in sorted(chart.dropped.items()):
        label = find_reason(reason)
        yield words(label or make_text("with status {status}", status=reason)), number
