"""Read the results, findings and replacement that the B12 rules use, once per chart."""

from collections.abc import Iterable
from typing import NamedTuple

from services.chart.model import Chart, Measurement, UnusableResult
from services.vitamin_b12.findings import Features, read_features
from services.vitamin_b12.knowledge import B12Knowledge
from services.vitamin_b12.replacement import Replacement, read_replacement
from services.vitamin_b12.results import (
    FIRST_LINE,
    IncomparableResult,
    Reading,
    assess_kidneys,
    is_fresh,
    read_by_common_limits,
    read_first_line,
    read_metabolite,
)

WORST_FIRST = ("deficient", "indeterminate", "unlikely", "high")


class Case(NamedTuple):
    """Results, findings and replacement of one patient, as the B12 rules use them."""

    chart: Chart
    knowledge: B12Knowledge
    features: Features
    replacement: Replacement
    deciding: Reading | None  # the first-line result that decides
    other_readings: tuple[Reading, ...]  # other recent first-line results, newest first
    incomparable: tuple[IncomparableResult, ...]
    unusable: tuple[UnusableResult, ...]  # unreadable and no older than what could be read
    stale_low: Reading | None
    mma: Reading | IncomparableResult | None
    hcy: Reading | IncomparableResult | None
    kidneys: str
    egfr: Measurement | None
    folate_low: Reading | None

    def has_group(self, name: str) -> bool:
        return not self.chart.active_concepts.isdisjoint(self.knowledge.groups[name])

    @property
    def mma_means(self) -> str | None:
        """ "normal", "raised", "grossly_raised"; None where unknown or not to be interpreted."""
        if not isinstance(self.mma, Reading) or self.chart.has("inborn_methylmalonic_acidaemia"):
            return None
        return self.mma.means

    @property
    def hcy_means(self) -> str | None:
        return self.hcy.means if isinstance(self.hcy, Reading) else None

    @property
    def interfering_antibody(self) -> bool:
        return self.get_antibody("intrinsic_factor_antibody") is True

    def get_antibody(self, name: str) -> bool | None:
        """Whether the newest result is positive; None where there is none."""
        results = self.chart.qualitative.get(name)
        return results[0].positive if results else None

    @property
    def has_folic_acid_draft(self) -> bool:
        return bool(self.chart.list_drafted_drugs(("folic_acid",)))

    @property
    def has_nitrous_oxide_draft(self) -> bool:
        return bool(self.chart.list_drafted_drugs(("nitrous_oxide",)))


def read_case(chart: Chart, knowledge: B12Knowledge) -> Case:
    """Read everything that a B12 rule may use."""
    features = read_features(chart, knowledge)
    readings, incomparable = _read_first_line_results(chart, knowledge)
    first, beside = _choose_deciding(readings, features, chart)
    status, egfr = assess_kidneys(chart, knowledge)
    return Case(
        chart=chart,
        knowledge=knowledge,
        features=features,
        replacement=read_replacement(chart, knowledge),
        deciding=first,
        other_readings=beside,
        incomparable=tuple(incomparable),
        unusable=tuple(_list_unusable(chart, knowledge, FIRST_LINE, first)),
        stale_low=_find_stale_low(chart, knowledge),
        mma=read_metabolite("methylmalonic_acid", chart, knowledge),
        hcy=read_metabolite("homocysteine", chart, knowledge),
        kidneys=status,
        egfr=egfr,
        folate_low=read_by_common_limits("folate_serum", chart, knowledge),
    )


def _read_first_line_results(
    chart: Chart, knowledge: B12Knowledge
) -> tuple[list[Reading], list[IncomparableResult]]:
    readings: list[Reading] = []
    incomparable: list[IncomparableResult] = []
    if chart.measurements.keys().isdisjoint(FIRST_LINE):
        return readings, incomparable
    for observation in FIRST_LINE:
        for result in chart.measurements.get(observation, ()):
            if is_fresh(result, chart, knowledge):
                read = read_first_line(result, chart, knowledge)
                if isinstance(read, Reading):
                    readings.append(read)
                else:
                    incomparable.append(read)
    readings.sort(key=lambda reading: reading.result.day, reverse=True)
    return readings, incomparable


def _choose_deciding(
    readings: list[Reading], features: Features, chart: Chart
) -> tuple[Reading | None, tuple[Reading, ...]]:
    """Choose the deciding first-line result, the newest; of one day's, the worse.

    Active B12 goes before total B12 in pregnancy and under hormonal contraceptives, where total
    B12 is low without deficiency.
    """
    if not readings:
        return None, ()
    active = next((r for r in readings if r.result.observation == "active_b12"), None)
    if active is not None and (features.pregnant or chart.has("hormonal_contraceptive")):
        return active, tuple(r for r in readings if r is not active)
    day = readings[0].result.day
    same_day = [_find_newest(kind, day, readings) for kind in FIRST_LINE]
    present = [reading for reading in same_day if reading is not None]
    decides = min(present, key=lambda reading: WORST_FIRST.index(reading.means))
    return decides, tuple(reading for reading in readings if reading is not decides)


def _find_newest(observation: str, day: object, readings: Iterable[Reading]) -> Reading | None:
    return next(
        (r for r in readings if r.result.observation == observation and r.result.day == day), None
    )


def _list_unusable(
    chart: Chart, knowledge: B12Knowledge, names: Iterable[str], first: Reading | None
) -> Iterable[UnusableResult]:
    for name in names if chart.unusable else ():
        for result in chart.unusable.get(name, ()):
            newer = first is None or result.day is None or result.day >= first.result.day
            if newer and (result.day is None or is_fresh_day(result, chart, knowledge)):
                yield result


def is_fresh_day(result: UnusableResult, chart: Chart, knowledge: B12Knowledge) -> bool:
    """Whether an unreadable result is recent enough to matter."""
    placeholder = Measurement(result.observation, 0.0, "", result.day or chart.today, "")
    return is_fresh(placeholder, chart, knowledge)


def _find_stale_low(chart: Chart, knowledge: B12Knowledge) -> Reading | None:
    """The newest result of each first-line test, where it is too old to decide and was low."""
    for observation in FIRST_LINE:
        result = chart.get_latest(observation)
        if result is not None and not is_fresh(result, chart, knowledge):
            read = read_first_line(result, chart, knowledge)
            if isinstance(read, Reading) and read.means == "deficient":
                return read
    return None
