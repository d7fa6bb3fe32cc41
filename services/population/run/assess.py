"""The second pass: a patient's resources to rows, by the rules that answer a call."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any

import orjson

from cds_hooks.protocol.hook_request import PATIENT_VIEW
from mappings.actions.attention import AttentionRules
from services.cards.composer import CardComposer
from services.chart.fhir_values import Resource, make_sort_key, read_relative_reference
from services.chart.model import Chart
from services.evaluation.combination import B12, SARCOPENIA, Evaluation, combine_assessments
from services.evaluation.evaluate import evaluate
from services.hooks.decide import CallContext, decide_cards
from services.hooks.offered_hooks import build_service_id
from services.knowledge.site import SiteKnowledge
from services.population.replay.record_history import read_chart_on
from services.population.replay.replay import Replay, build_card_rows, make_blank_key
from services.population.run import rows
from services.population.run.scan import Complaints, Line
from services.sarcopenia.assess import assess as assess_muscle
from services.vitamin_b12.assess import assess as assess_b12

REFERENCE_MEMBERS = ("medicationReference", "medication", "device")
MAX_CACHED = 50_000  # answers for patients of whom nothing is known but age and sex


@dataclass(frozen=True, slots=True)
class Evaluators:
    """By what patients are assessed: one guideline and one definition, and others beside them."""

    maker: CardComposer
    rules: Mapping[str, AttentionRules]  # by service
    others: tuple[SiteKnowledge, ...] = ()  # pairs that the first is compared with

    @property
    def knowledge(self) -> SiteKnowledge:
        return self.maker.knowledge

    @property
    def labels(self) -> dict[str, list[str]]:
        """Guidelines and definitions with their versions, the first first."""
        known = [self.knowledge, *self.others]
        return {
            "b12": list(dict.fromkeys(one.b12.guideline.label for one in known)),
            "sarcopenia": list(dict.fromkeys(one.muscle.definition.label for one in known)),
        }


@dataclass(slots=True)
class BucketOutput:
    """The rows of some patients as lines of JSON, by table, and what was complained of."""

    lines: dict[str, list[bytes]] = field(
        default_factory=lambda: {name: [] for name in rows.TABLES}
    )
    assessed: int = 0
    complaints: Complaints = field(default_factory=Complaints)

    def add_complaint(self, line: Line, reason: str) -> None:
        self.complaints.add(line.part, line.number, reason)


class Assessor:
    """Assesses patients one after another: as each was known on one day, or call by call."""

    def __init__(
        self,
        judges: Evaluators,
        as_of: date,
        drugs: Mapping[str, Resource],
        hashed: Callable[[str], str],
        *,
        since: date | None = None,
        answers: str = "none",
    ) -> None:
        """With `since`, every would-be call from that day to `as_of` is replayed."""
        self._evaluators = judges
        self._as_of = as_of
        self._now = datetime.combine(as_of, time(), UTC)
        self._drugs = drugs
        self._hash_id = hashed
        self._view_rules = judges.rules[build_service_id(PATIENT_VIEW.name)]
        self._cached_rows: dict[object, list[bytes]] = {}
        self._since = since
        self._replay = Replay(judges.maker, judges.rules, hashed, answers=answers)

    def write(self, patient: str, lines: list[Line], into: BucketOutput) -> None:
        """The rows of one patient; a complaint where there is nobody to assess."""
        resources = parse_lines(lines, into)
        if not any(r.get("resourceType") == "Patient" for r in resources):
            into.add_complaint(lines[0], "patient-missing")
            return
        into.assessed += 1
        resources = [*resources, *self._find_referenced(resources)]
        if self._since is None:
            readable = self._evaluators.knowledge.chart_knowledge
            chart = read_chart_on(self._as_of, patient, resources, readable)
        else:
            replayed = self._replay.replay_patient(patient, resources, self._since, self._as_of)
            into.lines["calls"] += map(orjson.dumps, replayed.calls)
            into.lines["cards"] += map(orjson.dumps, replayed.cards)
            chart = replayed.last_chart
        self._assess_chart(chart, self._hash_id(patient), into)

    def _find_referenced(self, resources: Iterable[Resource]) -> list[Resource]:
        """The medicines, and devices on no patient's name, that `resources` refer to."""
        found = {}
        for resource in resources:
            for key in REFERENCE_MEMBERS:
                if key in resource:
                    tail = read_relative_reference(resource[key])
                    if tail is not None and tail in self._drugs:
                        found[tail] = self._drugs[tail]
        return list(found.values())

    def _assess_chart(self, chart: Chart, hashed: str, into: BucketOutput) -> None:
        """A row for each pair of guidelines, and, as of a day, the cards of a view of the chart."""
        key = make_blank_key(chart, PATIENT_VIEW.name)
        known = self._cached_rows.get(key) if key is not None else None
        if known is None:
            found = evaluate(chart, self._evaluators.knowledge, self._evaluators.maker.topics)
            cards = [] if self._since is not None else self._build_card_rows(chart, found, hashed)
            others = compare_guidelines(chart, found, self._evaluators)
            assessed = [rows.build_assessment_row(found, primary=True)]
            assessed += [rows.build_assessment_row(other, primary=False) for other in others]
            known = [orjson.dumps(row)[1:] for row in assessed]
            into.lines["cards"] += map(orjson.dumps, cards)
            if key is not None and not cards and len(self._cached_rows) < MAX_CACHED:
                self._cached_rows[key] = known
        of_patient = orjson.dumps(rows.build_patient_row(chart, hashed))[:-1] + b","
        into.lines["assessments"] += [of_patient + one for one in known]

    def _build_card_rows(self, chart: Chart, found: Evaluation, hashed: str) -> list[rows.Row]:
        """The cards of a view of the chart, with nothing remembered."""
        context = CallContext(PATIENT_VIEW.name, self._now)
        said = decide_cards(chart, context, self._evaluators.maker, self._view_rules, found)
        of_call = {
            "patient": hashed,
            "at": self._now.isoformat(),
            "hook": PATIENT_VIEW.name,
            "encounter": None,
            "practitioner": None,
        }
        return [{**of_call, **row} for row in build_card_rows(said)]


def compare_guidelines(
    chart: Chart, primary: Evaluation, judges: Evaluators
) -> Iterator[Evaluation]:
    """The same chart by the other guidelines; the axis that stays is not assessed twice."""
    first = judges.knowledge
    # What `primary` says of muscle has the steps in it that the other axis called for.
    alone = None
    for known in judges.others:
        b12 = primary.b12 if known.b12 is first.b12 else assess_b12(chart, known.b12)
        if known.muscle is not first.muscle:
            muscle = assess_muscle(chart, known.muscle)
        else:
            muscle = alone = alone or assess_muscle(chart, first.muscle)
        yield combine_assessments(
            chart, {**primary.assessments, B12: b12, SARCOPENIA: muscle}, known.muscle
        )


def parse_lines(lines: list[Line], into: BucketOutput) -> list[Resource]:
    """The resources on the lines of one patient, each once: of copies, the newest."""
    try:
        found = orjson.loads(b"[" + b",".join([line.text for line in lines]) + b"]")
    except orjson.JSONDecodeError:
        found, lines = _parse_each_line(lines, into)
    places: dict[tuple[str, str], int] = {}
    older: set[int] = set()
    for place, resource in enumerate(found):
        id_ = resource.get("id")
        if id_.__class__ is not str:
            continue
        key = (resource["resourceType"], id_)
        other = places.setdefault(key, place)
        if other != place:
            newer = place if _read_version(resource) >= _read_version(found[other]) else other
            older.add(other + place - newer)
            places[key] = newer
    for place in sorted(older):
        into.add_complaint(lines[place], "repeated")
    return [r for place, r in enumerate(found) if place not in older] if older else found


def _parse_each_line(
    lines: list[Line], into: BucketOutput
) -> tuple[list[dict[str, Any]], list[Line]]:
    """What one parser let pass and another does not, such as a number beyond all bounds."""
    found, kept = [], []
    for line in lines:
        try:
            found.append(orjson.loads(line.text))
            kept.append(line)
        except orjson.JSONDecodeError:
            into.add_complaint(line, "not-json")
    return found, kept


def _read_version(resource: Resource) -> tuple[str, int]:
    """What tells an older copy of a resource from a newer one."""
    meta = resource.get("meta")
    if not isinstance(meta, dict):
        return "", 0
    updated, version = meta.get("lastUpdated"), meta.get("versionId")
    text = version if isinstance(version, str) else ""
    number = int(text) if text.isascii() and text.isdigit() else 0
    return make_sort_key(updated) if isinstance(updated, str) else "", number
