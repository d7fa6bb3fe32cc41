"""What the rules of muscle look at: where none of it is on record, they are not asked."""

import pytest
from patients import TODAY, index, known

from services.chart.model import Chart, FailedTest, Measurement, UnusableResult
from services.sarcopenia.findings import NOTHING_MEASURED, read_findings
from services.sarcopenia.knowledge import BODY_MEASURES

DEFINITIONS = ("ewgsop2-2019", "awgs-2019", "sdoc-2020", "fnih-2014")
MEASURED = {n: s.units[0] for n, s in index().sets.items() if s.kind == "observation" and s.units}
RESULTS = {n: (Measurement(n, 1.0, unit, TODAY, "Observation/1"),) for n, unit in MEASURED.items()}
UNREADABLE = {n: (UnusableResult(n, "no-unit", "Observation/2", TODAY),) for n in MEASURED}
UNDONE = {n: (FailedTest(n, TODAY, "Observation/3"),) for n in MEASURED}


class Asked(dict):
    """Remembers what it was asked for."""

    def __init__(self, held, asked):
        super().__init__(held)
        self.asked = asked

    def get(self, name, default=None):
        self.asked.add(name)
        return super().get(name, default)

    def __getitem__(self, name):
        self.asked.add(name)
        return super().__getitem__(name)

    def __contains__(self, name):
        self.asked.add(name)
        return super().__contains__(name)


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_nothing_is_asked_for_that_is_not_looked_at(definition):
    asked = set()
    knowledge = known(definition=definition).muscle
    grip_alone = {"grip_strength": RESULTS["grip_strength"]}
    for measurements, unusable, unable in (
        (RESULTS, UNREADABLE, UNDONE),
        (RESULTS, {}, {}),
        ({}, UNREADABLE, {}),
        (grip_alone, {}, {}),
    ):
        whole = Chart(
            "Patient/1",
            TODAY,
            sex="female",
            measurements=Asked(measurements, asked),
            unusable=Asked(unusable, asked),
            unable=Asked(unable, asked),
        )
        assert read_findings(whole, knowledge) is not NOTHING_MEASURED
    assert {"grip_strength", "sarc_f"} < asked
    assert asked - knowledge.observations_read <= BODY_MEASURES


@pytest.mark.parametrize("definition", DEFINITIONS)
@pytest.mark.parametrize("place", ["measurements", "unusable", "unable"])
def test_any_one_measure_is_looked_at(definition, place):
    knowledge = known(definition=definition).muscle
    held = {"measurements": RESULTS, "unusable": UNREADABLE, "unable": UNDONE}[place]
    for name in knowledge.measures:
        if name not in held:  # computed, never on record
            continue
        whole = Chart("Patient/1", TODAY, **{place: {name: held[name]}})
        assert read_findings(whole, knowledge) is not NOTHING_MEASURED, name
