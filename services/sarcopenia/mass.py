"""Appendicular muscle mass: measured as an index, or made one with height or BMI."""

from mappings.terminology.units import to_unit
from mappings.text import amount, as_amount, say
from services.chart.model import Chart, Measurement
from services.sarcopenia.knowledge import Knowledge
from services.sarcopenia.measures import Tested, is_fresh, read_test


def results_of(name: str, chart: Chart, knowledge: Knowledge) -> tuple[Measurement, ...]:
    """Results of `asm`, `asm_height2` or `asm_bmi`, newest first; what was measured as such goes
    before what is computed on the same day."""
    measured = chart.measurements.get(name, ())
    if name == "asm":
        return measured
    divisor = _height_squared(chart) if name == "asm_height2" else _bmi(chart, knowledge)
    if divisor is None:
        return measured
    by, number = divisor
    unit = "kg/m2" if name == "asm_height2" else "m2"
    computed = (
        mass._replace(
            observation=name,
            value=mass.value / number,
            unit=unit,
            reported=say("{title}, {means}", title=as_amount(mass.reported), means=by),
        )
        for mass in chart.measurements.get("asm", ())
    )
    return tuple(sorted((*measured, *computed), key=lambda r: r.day, reverse=True))


def _height_squared(chart: Chart) -> tuple[str, float] | None:
    height = chart.latest("height")
    if height is None or height.comparator is not None:
        return None
    metres = to_unit(height.value, height.unit, "m")
    return (
        None
        if metres is None
        else (say("height {amount}", amount=amount(height.value, height.unit)), metres**2)
    )


def _bmi(chart: Chart, knowledge: Knowledge) -> tuple[str, float] | None:
    measured = chart.latest("bmi")
    if measured and measured.comparator is None and is_fresh(chart, knowledge, measured):
        return say("BMI {amount}", amount=amount(measured.value, "kg/m2")), measured.value
    weight, height = chart.latest("weight"), _height_squared(chart)
    if weight is None or height is None or not is_fresh(chart, knowledge, weight):
        return None
    bmi = weight.value / height[1]
    return say("BMI {amount}", amount=amount(bmi, "kg/m2", digits=".1f")), bmi


def mass_tests(chart: Chart, knowledge: Knowledge) -> tuple[Tested, ...]:
    """What each measure of mass says, in the definition's order of preference."""
    tests = (
        read_test(name, results_of(name, chart, knowledge), chart, knowledge)
        for name in knowledge.definition.mass_order
    )
    return tuple(test for test in tests if test is not None)
