"""Read an Observation into the chart: results, antibodies, findings, tests not done."""

from collections.abc import Iterable, Sequence
from datetime import date

from mappings.terminology.value_set import Match
from services.chart import observations
from services.chart.builder import ChartBuilder
from services.chart.fhir_values import Resource, as_list, read_codings
from services.chart.model import (
    DroppedReason,
    FailedTest,
    Finding,
    Measurement,
    QualitativeResult,
    UnusableResult,
)

# What an Observation says once for all its components.
SHARED_ELEMENTS = ("method", "device", "contained")


def read_observation(resource: Resource, reference: str, pages: ChartBuilder) -> None:
    matches = _find_matches(resource, pages)
    if "component" in resource:
        coded = [*((resource, match) for match in matches), *_list_components(resource, pages)]
    else:
        coded = [(resource, match) for match in matches] if matches else []
    if not coded:
        return
    reason = observations.check_status(resource)
    when = observations.read_effective_time(resource)
    if reason is None:
        reason = DroppedReason.UNDATED if when is None else None
    if when is not None and when[0] > pages.last_day:
        reason = DroppedReason.IN_THE_FUTURE
    if reason is not None or when is None:
        pages.dropped[reason or DroppedReason.UNDATED] += 1
        return
    for part, match in coded:
        _write_observation(part, match, reference, when, pages, coded)


def _list_components(resource: Resource, pages: ChartBuilder) -> list[tuple[Resource, Match]]:
    parts = (c for c in as_list(resource["component"]) if isinstance(c, dict))
    shared = {key: resource[key] for key in SHARED_ELEMENTS if key in resource}
    return [({**shared, **part}, match) for part in parts for match in _find_matches(part, pages)]


def _find_matches(part: Resource, pages: ChartBuilder) -> Sequence[Match]:
    """One match for each value set that the code is in, or the coded answer of a question is."""
    index = pages.knowledge.index
    matches = index.match_codes(read_codings(part.get("code")))
    if "valueCodeableConcept" not in part:
        return matches
    answered = index.match_codes(read_codings(part["valueCodeableConcept"]))
    return [*matches, *(match for match in answered if match.value_set.kind == "condition")]


def _write_observation(
    part: Resource,
    match: Match,
    reference: str,
    when: tuple[date, str],
    pages: ChartBuilder,
    beside: Iterable[tuple[Resource, Match]],
) -> None:
    kind, name = match.value_set.kind, match.value_set.name
    if kind == "condition":
        _write_noted_finding(part, match, reference, when[0], pages)
    elif kind != "observation":
        return
    elif match.value_set.qualitative:
        positive = observations.read_outcome(part)
        if positive is None:
            pages.dropped[DroppedReason.NO_OUTCOME] += 1
        else:
            pages.qualitative[name].append(QualitativeResult(name, positive, when[0], reference))
    elif "valueCodeableConcept" in part and _is_failed_test(part, pages):
        tested = "gait_speed" if name == "walk_time" else name
        pages.unable[tested].append(FailedTest(tested, when[0], reference))
    elif name == "walk_time":
        scales = pages.knowledge.scales
        speed = observations.read_walking_speed(part, beside, match, when, reference, scales)
        write_result(speed, pages)
    elif "hasMember" not in part or not _is_heading(part):
        read = observations.read_measurement(
            part, match, when, reference, pages.knowledge.scales, pages.devices
        )
        write_result(read, pages)


def _write_noted_finding(
    part: Resource, match: Match, reference: str, day: date, pages: ChartBuilder
) -> None:
    """A condition noted as an Observation, by its code or as the coded answer to a question."""
    name = match.value_set.name
    answered = any(
        m.value_set.name == name
        for coding in read_codings(part.get("valueCodeableConcept"))
        for m in pages.knowledge.index.look_up(*coding)
    )
    finding = (
        Finding(name, reference, day, match.row.display)
        if answered
        else observations.read_noted_finding(part, match, reference, day)
    )
    if finding is not None:
        pages.findings[name].append(finding)


def _is_heading(part: Resource) -> bool:
    """Whether the values stand in the members, and not here."""
    return "hasMember" in part and "valueQuantity" not in part and "valueInteger" not in part


def _is_failed_test(part: Resource, pages: ChartBuilder) -> bool:
    """Whether the result says that the test could not be done or completed."""
    return any(
        match.value_set.name == "unable"
        for coding in read_codings(part["valueCodeableConcept"])
        for match in pages.knowledge.index.look_up(*coding)
    )


def write_result(result: Measurement | UnusableResult, pages: ChartBuilder) -> None:
    if isinstance(result, Measurement):
        pages.measurements[result.observation].append(result)
    else:
        pages.unusable[result.observation].append(result)
        pages.dropped[result.reason] += 1
