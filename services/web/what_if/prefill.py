"""What the form can hold of a patient that was not entered in it."""

from collections.abc import Iterator
from datetime import date

from services.chart.model import Chart
from services.knowledge.site import SiteKnowledge
from services.web.what_if.form import NEGATIVE, POSITIVE, EnteredDrug, EnteredResult, PatientForm
from services.web.what_if.form_fields import DRUG, ROUTES, TEST, list_measures, list_value_sets

MAX_DAYS_AGO = 400  # fewer are said in days


def build_form(chart: Chart, knowledge: SiteKnowledge) -> PatientForm:
    """Age, sex, newest results, conditions, drugs and the draft; the rest is left behind."""
    conditions = list_value_sets(knowledge, "condition", "procedure")
    drafted = next(_list_drafts(chart), ("", EnteredDrug("")))
    born = chart.born
    return PatientForm(
        born=born[0].isoformat() if born and born[0] == born[1] else "",
        sex=chart.sex or "unknown",
        results={result.name: result for result in _list_results(chart, knowledge)},
        conditions=tuple(
            name
            for name, findings in chart.findings.items()
            if name in conditions and any(result.active for result in findings)
        ),
        drugs=tuple(_list_drugs(chart)),
        draft=drafted[0],
        draft_dose=drafted[1].dose,
        draft_route=drafted[1].route,
    )


def _list_results(chart: Chart, knowledge: SiteKnowledge) -> Iterator[EnteredResult]:
    for name in list_measures(knowledge):
        result, present = chart.get_latest(name), chart.qualitative.get(name)
        if result is not None:
            text = f"{result.comparator or ''}{result.value:g}"
            ago, method = _format_ago(result.day, chart.today), result.method or ""
            yield EnteredResult(name, text, result.unit, result.day, ago, method)
        elif present:
            text = POSITIVE if present[0].positive else NEGATIVE
            yield EnteredResult(
                name, text, "", present[0].day, _format_ago(present[0].day, chart.today)
            )


def _format_ago(day: date, today: date) -> str:
    """ "12 d"; the day itself where that is long ago, or to come."""
    days = (today - day).days
    if days == 0:
        return ""
    return f"{days} d" if 0 < days < MAX_DAYS_AGO else day.isoformat()


def _list_drugs(chart: Chart) -> Iterator[EnteredDrug]:
    for name, drugs in chart.medications.items():
        current = next((drug for drug in drugs if drug.status == "current"), None)
        if current is not None:
            since = current.start.isoformat() if current.start else ""
            yield EnteredDrug(
                name, since, _format_dose(current.ug_per_day), _format_route(current.route)
            )


def _list_drafts(chart: Chart) -> Iterator[tuple[str, EnteredDrug]]:
    for name, drugs in chart.medications.items():
        for drug in drugs:
            if drug.status == "draft":
                dose, route = _format_dose(drug.ug_per_day), _format_route(drug.route)
                yield f"{DRUG}:{name}", EnteredDrug(name, "", dose, route)
    for name, orders in chart.orders.items():
        if any(order.status == "draft" for order in orders):
            yield f"{TEST}:{name}", EnteredDrug("")


def _format_dose(ug_per_day: float | None) -> str:
    return "" if ug_per_day is None else f"{round(ug_per_day, 3):.10g}"


def _format_route(route: str | None) -> str:
    return route if route in ROUTES else ""
