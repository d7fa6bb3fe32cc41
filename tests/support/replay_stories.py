"""A patient's years in one line, and what a replay of them says.

    visit @2026-02-10T09:00:00Z in e1 by 7; b12 210 @2026-06-10; rx metformin since 2026-03-05

Parts are those of `patients`, which are there since the day they bear, and visits. Behind any part,
`in` names the visit it came of and `by` who ordered it; `like` adds members of FHIR as JSON.
"""

import re
from datetime import date
from typing import Any

import orjson
from patients import SUBJECT, known, maker, patient, resources

from services.hooks.catalog import read_attention_rules
from services.population.replay.replay import PatientReplay, Replay

YEAR = (date(2026, 1, 1), date(2026, 12, 31))


def make_story(text: str, **person: Any) -> list[dict[str, Any]]:
    """The patient and all that is on record of her today."""
    found = [patient() | person]
    for number, part in enumerate(p.strip() for p in text.split(";") if p.strip()):
        found.append(_make_part(number, part))
    return found


def _make_part(number: int, text: str) -> dict[str, Any]:
    text, _, more = text.partition(" like ")
    text, by = _cut_word(text, "by")
    text, visit = _cut_word(text, "in")
    if text.startswith("visit"):
        made: dict[str, Any] = {
            "resourceType": "Encounter",
            "id": visit,
            "status": "finished",
            "class": {"code": "AMB"},
            "subject": SUBJECT,
            "period": {"start": text.removeprefix("visit @")},
        }
        if by:
            made["participant"] = [{"individual": {"reference": f"Practitioner/{by}"}}]
    else:
        record, drafts = resources(text)
        [made] = record or drafts
        made["id"] += f"n{number}"
        if visit:
            made["encounter"] = {"reference": f"Encounter/{visit}"}
        if by:
            made["requester"] = {"reference": f"Practitioner/{by}"}
    return made | (orjson.loads(more) if more else {})


def _cut_word(text: str, word: str) -> tuple[str, str | None]:
    found = re.fullmatch(rf"(.*) {word} (e?\d+)", text)
    return (found[1], found[2]) if found else (text, None)


def make_replay(chosen: dict[str, Any] | None = None, **options: Any) -> Replay:
    rules = read_attention_rules(chosen, known())
    return Replay(maker(known()), rules, lambda text: f"#{text}", **options)


def replay_story(text: str, chosen: dict[str, Any] | None = None, **options: Any) -> PatientReplay:
    return make_replay(chosen, **options).replay_patient("1", make_story(text), *YEAR)
