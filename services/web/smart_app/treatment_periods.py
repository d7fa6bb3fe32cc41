"""When the patient was given B12, and drugs that lower it, as far as the record says."""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import NamedTuple

from mappings.text import make_text
from services.chart.model import Chart, Medication
from services.vitamin_b12.knowledge import B12Knowledge
from services.vitamin_b12.replacement import is_antidote, is_injected


class TreatmentPeriod(NamedTuple):
    """One course of one drug: records no further apart than the site's gap are one course."""

    says: str
    begins: date | None  # None: no start is recorded
    ends: date | None  # None: it goes on, or no end is recorded
    lowers: bool  # a drug that lowers B12, not B12 itself
    resources: tuple[str, ...]
    goes_on: bool = True


def list_periods(chart: Chart, knowledge: B12Knowledge) -> tuple[TreatmentPeriod, ...]:
    """Courses of B12, then of drugs that lower it, each in the order in which they began."""
    periods: list[TreatmentPeriod] = []
    counted: set[str] = set()
    for group, lowers in (("replacement", False), ("medicine", True)):
        of_group: list[TreatmentPeriod] = []
        for concept in knowledge.groups[group]:
            drugs = [
                drug
                for drug in chart.medications.get(concept, ())
                if drug.status != "draft"
                and not is_antidote(drug, chart)
                and drug.resource not in counted
            ]
            counted |= {drug.resource for drug in drugs}
            for injected in (True, False):
                alike = [d for d in drugs if is_injected(d, knowledge) is injected]
                stopped = _find_stop_days(chart) if injected else ()
                courses = _split_courses(alike, knowledge, lowers=lowers, injected=injected)
                of_group += [_end_course(period, stopped) for period in courses]
        periods += sorted(of_group, key=lambda period: period.begins or date.min)
    return tuple(periods)


def _find_stop_days(chart: Chart) -> tuple[date, ...]:
    """When the record says that injections were stopped."""
    stops = chart.findings.get("b12_injections_stopped", ())
    return tuple(stop.onset for stop in stops if stop.onset is not None)


def _end_course(course: TreatmentPeriod, stopped: Iterable[date]) -> TreatmentPeriod:
    """A course that goes on by its prescriptions, and was stopped, has ended."""
    over = [day for day in stopped if course.begins is None or day >= course.begins]
    return course._replace(ends=max(over), goes_on=False) if over and course.goes_on else course


def _split_courses(
    drugs: Iterable[Medication], knowledge: B12Knowledge, *, lowers: bool, injected: bool
) -> Iterator[TreatmentPeriod]:
    gap = timedelta(days=knowledge.policy["drug_gap_days"])
    course: list[Medication] = []
    for drug in sorted(drugs, key=lambda d: d.start or date.min):
        if course and not _is_same_course(course, drug, gap):
            yield _build_period(course, knowledge, lowers=lowers, injected=injected)
            course = []
        course.append(drug)
    if course:
        yield _build_period(course, knowledge, lowers=lowers, injected=injected)


def _is_same_course(course: list[Medication], drug: Medication, gap: timedelta) -> bool:
    if drug.start is None or course[-1].start is None:
        return False
    last = max(d.end or d.start for d in course if d.start)
    return drug.start - last <= gap


def _build_period(
    course: list[Medication], knowledge: B12Knowledge, *, lowers: bool, injected: bool
) -> TreatmentPeriod:
    title = knowledge.titles[course[0].concept]
    by_mouth = make_text("{title}, by mouth", title=title)
    by_injection = make_text("{title}, by injection", title=title) if injected else by_mouth
    goes_on = any(drug.status == "current" for drug in course)
    ends = [day for drug in course if (day := drug.end or drug.start)]
    return TreatmentPeriod(
        says=title if lowers else by_injection,
        begins=course[0].start,
        ends=None if goes_on else max(ends, default=None),
        lowers=lowers,
        resources=tuple(drug.resource for drug in course),
        goes_on=goes_on,
    )
