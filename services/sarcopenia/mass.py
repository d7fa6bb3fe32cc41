"""Read appendicular muscle mass: measured as an index, or divided by height squared or BMI."""

from mappings.terminology.units import convert_unit
from mappings.text import as_amount, format_amount, make_text
from services.chart.model import Chart, Measurement
from services.sarcopenia.knowledge import SarcopeniaKnowledge
from services.sarcopenia.measures import MeasureResult, is_fresh, read_measure


def list_mass_results(
    name: str, chart: Chart, knowledge: SarcopeniaKnowledge
) -> tuple[Measurement, ...]:
    """Results of `asm`, `asm_height2` or `asm_bmi`, newest first; what was measured as such goes
    before what is computed on the same day."""
    measured = chart.measurements.get(name, ())
    if name == "asm":
        return measured
    divisor = (
        _calculate_height_squared(chart) if name == "asm_height2" else _find_bmi(chart, knowledge)
    )
    if divisor is None:
        return measured
    by, number = divisor
    unit = "kg/m2" if name == "asm_height2" else "m2"
    computed = (
        mass._replace(
            observation=name,
            value=mass.value / number,
            unit=unit,
            reported=make_text("{title}, {means}", title=as_amount(mass.reported), means=by),
        )
        for mass in chart.measurements.get("asm", ())
    )
    return tuple(sorted((*measured, *computed), key=lambda r: r.day, reverse=True))


def _calculate_height_squared(chart: Chart) -> tuple[str, float] | None:
    height = chart.get_latest("height")
    if height is None or height.comparator is not None:
        return None
    metres = convert_unit(height.value, height.unit, "m")
    return (
        None
        if metres is None
        else (
            make_text("height {amount}", amount=format_amount(height.value, height.unit)),
            metres**2,
        )
    )


def _find_bmi(chart: Chart, knowledge: SarcopeniaKnowledge) -> tuple[str, float] | None:
    measured = chart.get_latest("bmi")
    if measured and measured.comparator is None and is_fresh(chart, knowledge, measured):
        return make_text(
            "BMI {amount}", amount=format_amount(measured.value, "kg/m2")
        ), measured.value
    weight, height = chart.get_latest("weight"), _calculate_height_squared(chart)
    if weight is None or height is None or not is_fresh(chart, knowledge, weight):
        return None
    bmi = weight.value / height[1]
    return make_text("BMI {amount}", amount=format_amount(bmi, "kg/m2", digits=".1f")), bmi


def read_mass(chart: Chart, knowledge: SarcopeniaKnowledge) -> tuple[MeasureResult, ...]:
    """Read each measure of mass, in the definition's order of preference."""
    tests = (
        read_measure(name, list_mass_results(name, chart, knowledge), chart, knowledge)
        for name in knowledge.definition.mass_order
    )
    return tuple(test for test in tests if test is not None)
