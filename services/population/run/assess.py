"""Second pass of a population run: assess each patient by the rules that answer a call."""

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
from services.population import rows
from services.population.replay.record_history import read_chart_on
from services.population.replay.replay import Replay, build_card_rows, make_blank_key
from services.population.run.scan import Complaints, Line
from services.sarcopenia.assess import assess as assess_muscle
from services.vitamin_b12.assess import assess as assess_b12

REFERENCE_MEMBERS = ("medicationReference", "medication", "device")
MAX_CACHED = 50_000  # answers for patients of whom nothing is known but age and sex


@dataclass(frozen=True, slots=True)
class Evaluators:
    """The guideline and definition that patients are assessed by, and others to compare with."""

    maker: CardComposer
    rules: Mapping[str, AttentionRules]  # by service
    others: tuple[SiteKnowledge, ...] = ()  # pairs that the first is compared with

    @property
    def knowledge(self) -> SiteKnowledge:
        return self.maker.knowledge

    @property
    def labels(self) -> dict[str, list[str]]:
        """Guidelines and definitions with their versions, the first first."""
        all_knowledge = [self.knowledge, *self.others]
        return {
            "b12": list(
                dict.fromkeys(knowledge.b12.guideline.label for knowledge in all_knowledge)
            ),
            "sarcopenia": list(
                dict.fromkeys(knowledge.muscle.definition.label for knowledge in all_knowledge)
            ),
        }


@dataclass(slots=True)
class BucketOutput:
    """The rows of one bucket as lines of JSON, by table, and its complaints."""

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
        evaluators: Evaluators,
        as_of: date,
        drugs: Mapping[str, Resource],
        hash_id: Callable[[str], str],
        *,
        since: date | None = None,
        answers: str = "none",
    ) -> None:
        """With `since`, every would-be call from that day to `as_of` is replayed."""
        self._evaluators = evaluators
        self._as_of = as_of
        self._now = datetime.combine(as_of, time(), UTC)
        self._drugs = drugs
        self._hash_id = hash_id
        self._view_rules = evaluators.rules[build_service_id(PATIENT_VIEW.name)]
        self._cached_rows: dict[object, list[bytes]] = {}
        self._since = since
        self._replay = Replay(evaluators.maker, evaluators.rules, hash_id, answers=answers)

    def assess_patient(self, patient: str, lines: list[Line], output: BucketOutput) -> None:
        """Add the rows of one patient to `output`; a complaint where there is no Patient."""
        resources = parse_lines(lines, output)
        if not any(r.get("resourceType") == "Patient" for r in resources):
            output.add_complaint(lines[0], "patient-missing")
            return
        output.assessed += 1
        resources = [*resources, *self._find_referenced(resources)]
        if self._since is None:
            readable = self._evaluators.knowledge.chart_knowledge
            chart = read_chart_on(self._as_of, patient, resources, readable)
        else:
            replayed = self._replay.replay_patient(patient, resources, self._since, self._as_of)
            output.lines["calls"] += map(orjson.dumps, replayed.calls)
            output.lines["cards"] += map(orjson.dumps, replayed.cards)
            chart = replayed.last_chart
        self._assess_chart(chart, self._hash_id(patient), output)

    def _find_referenced(self, resources: Iterable[Resource]) -> list[Resource]:
        """Find the Medications and Devices of no patient that `resources` refer to."""
        referenced = {}
        for resource in resources:
            for key in REFERENCE_MEMBERS:
                if key in resource:
                    tail = read_relative_reference(resource[key])
                    if tail is not None and tail in self._drugs:
                        referenced[tail] = self._drugs[tail]
        return list(referenced.values())

    def _assess_chart(self, chart: Chart, patient_hash: str, output: BucketOutput) -> None:
        """Add a row for each pair of guidelines, and the cards of a chart view unless replaying."""
        key = make_blank_key(chart, PATIENT_VIEW.name)
        guideline_columns = self._cached_rows.get(key) if key is not None else None
        if guideline_columns is None:
            evaluation = evaluate(chart, self._evaluators.knowledge, self._evaluators.maker.topics)
            cards = (
                []
                if self._since is not None
                else self._build_card_rows(chart, evaluation, patient_hash)
            )
            others = compare_guidelines(chart, evaluation, self._evaluators)
            assessed = [rows.build_assessment_row(evaluation, primary=True)]
            assessed += [rows.build_assessment_row(other, primary=False) for other in others]
            guideline_columns = [orjson.dumps(row)[1:] for row in assessed]
            output.lines["cards"] += map(orjson.dumps, cards)
            if key is not None and not cards and len(self._cached_rows) < MAX_CACHED:
                self._cached_rows[key] = guideline_columns
        patient_columns = orjson.dumps(rows.build_patient_row(chart, patient_hash))[:-1] + b","
        output.lines["assessments"] += [patient_columns + columns for columns in guideline_columns]

    def _build_card_rows(
        self, chart: Chart, evaluation: Evaluation, patient_hash: str
    ) -> list[rows.Row]:
        """Build the card rows of one chart view, with no card history."""
        context = CallContext(PATIENT_VIEW.name, self._now)
        answer = decide_cards(chart, context, self._evaluators.maker, self._view_rules, evaluation)
        call_columns = {
            "patient": patient_hash,
            "at": self._now.isoformat(),
            "hook": PATIENT_VIEW.name,
            "encounter": None,
            "practitioner": None,
        }
        return [{**call_columns, **row} for row in build_card_rows(answer)]


def compare_guidelines(
    chart: Chart, primary: Evaluation, evaluators: Evaluators
) -> Iterator[Evaluation]:
    """Assess the chart by the other guidelines; what stays the same is not assessed twice."""
    first = evaluators.knowledge
    # What `primary` says of muscle has the steps in it that the other axis called for.
    muscle_alone = None
    for knowledge in evaluators.others:
        b12 = primary.b12 if knowledge.b12 is first.b12 else assess_b12(chart, knowledge.b12)
        if knowledge.muscle is not first.muscle:
            muscle = assess_muscle(chart, knowledge.muscle)
        else:
            muscle = muscle_alone = muscle_alone or assess_muscle(chart, first.muscle)
        yield combine_assessments(
            chart, {**primary.assessments, B12: b12, SARCOPENIA: muscle}, knowledge.muscle
        )


def parse_lines(lines: list[Line], output: BucketOutput) -> list[Resource]:
    """Parse the resources of one patient, each once: of copies, the newest."""
    try:
        resources = orjson.loads(b"[" + b",".join([line.text for line in lines]) + b"]")
    except orjson.JSONDecodeError:
        resources, lines = _parse_each_line(lines, output)
    places: dict[tuple[str, str], int] = {}
    older: set[int] = set()
    for place, resource in enumerate(resources):
        id_ = resource.get("id")
        if id_.__class__ is not str:
            continue
        key = (resource["resourceType"], id_)
        other = places.setdefault(key, place)
        if other != place:
            newer = place if _read_version(resource) >= _read_version(resources[other]) else other
            older.add(other + place - newer)
            places[key] = newer
    for place in sorted(older):
        output.add_complaint(lines[place], "repeated")
    return [r for place, r in enumerate(resources) if place not in older] if older else resources


def _parse_each_line(
    lines: list[Line], output: BucketOutput
) -> tuple[list[dict[str, Any]], list[Line]]:
    """Parse line by line where one fails, such as a number beyond all bounds."""
    resources, parsed_lines = [], []
    for line in lines:
        try:
            resources.append(orjson.loads(line.text))
            parsed_lines.append(line)
        except orjson.JSONDecodeError:
            output.add_complaint(line, "not-json")
    return resources, parsed_lines


def _read_version(resource: Resource) -> tuple[str, int]:
    """Sort key of copies of a resource: when it was updated, and its version number."""
    meta = resource.get("meta")
    if not isinstance(meta, dict):
        return "", 0
    updated, version = meta.get("lastUpdated"), meta.get("versionId")
    text = version if isinstance(version, str) else ""
    number = int(text) if text.isascii() and text.isdigit() else 0
    return make_sort_key(updated) if isinstance(updated, str) else "", number
