"""Whose chart is open, what of it could be looked up, and what was not used."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple

from cds_hooks.protocol.prefetch import Answer, State
from mappings.text import say
from services.cards.muscle import GAPS
from services.chart.fhir_values import as_list, span_of_date
from services.chart.model import Chart
from services.chart.reader import read_chart
from services.knowledge.site import Known
from services.sarcopenia.assess import REASONS
from services.vitamin_b12.labels import KEYS
from services.web.smart_app.labels import CARDS, DROPPED, STATES
from services.web.smart_app.session import Opened
from services.web.smart_app.text import Words

PREFERRED = ("official", "usual")  # uses of a name, the best first
NAMES = KEYS | GAPS


@dataclass(frozen=True, slots=True)
class Person:
    """Who it is, as the record has it. The record's id is never shown."""

    name: str | None
    born: str | None


class Looked(NamedTuple):
    """One thing that was looked up."""

    says: str
    state: str
    number: int
    known: bool


def chart_of(opened: Opened, known: Known, today: date) -> Chart:
    """The chart of the patient of a launch; another patient's resources stop here."""
    answers = opened.answers.values()
    return read_chart(
        (resource for answer in answers for resource in answer.resources),
        opened.patient_id,
        known.readable,
        today=today,
        last=today + timedelta(days=1),  # a patient's calendar may be ahead of our clock
        unknown=[answer.key for answer in answers if not answer.known],
        incomplete=[answer.key for answer in answers if not answer.complete],
    )


def person_of(opened: Opened, words: Words) -> Person:
    """Name and birth date, where the Patient resource was had and has them."""
    answer = opened.answers.get("patient")
    for resource in answer.resources if answer else ():
        if resource.get("resourceType") == "Patient" and resource.get("id") == opened.patient_id:
            return Person(_name(resource), _born(resource, words))
    return Person(None, None)


def _name(patient: Mapping[str, Any]) -> str | None:
    given = [name for name in as_list(patient.get("name")) if isinstance(name, dict)]
    given.sort(key=lambda name: PREFERRED.index(name["use"]) if name.get("use") in PREFERRED else 9)
    for name in given:
        if isinstance(name.get("text"), str) and name["text"].strip():
            return str(name["text"]).strip()
        parts = [part for part in _listed(name.get("given")) + _listed(name.get("family")) if part]
        if parts:
            return " ".join(parts)
    return None


def _listed(value: object) -> list[str]:
    """One text, or several as DSTU2 has a family name."""
    several = value if isinstance(value, list) else [value]
    return [one.strip() for one in several if isinstance(one, str)]


def _born(patient: Mapping[str, Any], words: Words) -> str | None:
    span = span_of_date(patient.get("birthDate"))
    if span is None:
        return None
    if span[0] == span[1]:
        return words.day(span[0])
    return str(patient["birthDate"])  # a year, or a year and a month, as it stands


def card_of(opened: Opened) -> str | None:
    """What the card was about that the app was opened from; None where it was no card of ours."""
    topic = opened.app_context.get("topic")
    begins = (begin for begin in CARDS if isinstance(topic, str) and topic.startswith(begin))
    return next((CARDS[begin] for begin in begins), None)


def looked_at(opened: Opened, words: Words) -> tuple[Looked, ...]:
    """What was looked up: found, nothing there, and not to be had are three things."""
    return tuple(
        Looked(
            says=words.upper(NAMES.get(answer.key, answer.key)),
            state=words(STATES[_state(answer)]),
            number=len(answer.resources),
            known=answer.known and answer.complete,
        )
        for answer in opened.answers.values()
    )


def _state(answer: Answer) -> str:
    if answer.state is State.FOUND and not answer.complete:
        return "partly"
    return answer.state.value


def not_used(chart: Chart, words: Words) -> Iterator[tuple[str, int]]:
    """Resources that were had and not used: why, and how many."""
    for reason, number in sorted(chart.dropped.items()):
        told = DROPPED.get(reason) or REASONS.get(reason)
        yield words(told or say("with status {status}", status=reason)), number
