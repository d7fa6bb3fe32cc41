"""What the form can hold of a patient that was not entered in it."""

from collections.abc import Iterator
from datetime import date

from services.chart.model import Chart
from services.knowledge.site import Known
from services.web.what_if.form import NEGATIVE, POSITIVE, Drug, Entered, Result
from services.web.what_if.form_fields import DRUG, ROUTES, TEST, measures, of_kind

DAYS = 400  # fewer are said in days


def entered_of(chart: Chart, known: Known) -> Entered:
    """Age, sex, newest results, conditions, drugs and the draft; the rest is left behind."""
    conditions = of_kind(known, "condition", "procedure")
    drafted = next(_drafts(chart), ("", Drug("")))
    born = chart.born
    return Entered(
        born=born[0].isoformat() if born and born[0] == born[1] else "",
        sex=chart.sex or "unknown",
        results={one.name: one for one in _results(chart, known)},
        conditions=tuple(
            name
            for name, found in chart.findings.items()
            if name in conditions and any(one.active for one in found)
        ),
        drugs=tuple(_drugs(chart)),
        draft=drafted[0],
        draft_dose=drafted[1].dose,
        draft_route=drafted[1].route,
    )


def _results(chart: Chart, known: Known) -> Iterator[Result]:
    for name in measures(known):
        found, present = chart.latest(name), chart.qualitative.get(name)
        if found is not None:
            text = f"{found.comparator or ''}{found.value:g}"
            ago, method = _ago(found.day, chart.today), found.method or ""
            yield Result(name, text, found.unit, found.day, ago, method)
        elif present:
            text = POSITIVE if present[0].positive else NEGATIVE
            yield Result(name, text, "", present[0].day, _ago(present[0].day, chart.today))


def _ago(day: date, today: date) -> str:
    """ "12 d"; the day itself where that is long ago, or to come."""
    days = (today - day).days
    if days == 0:
        return ""
    return f"{days} d" if 0 < days < DAYS else day.isoformat()


def _drugs(chart: Chart) -> Iterator[Drug]:
    for name, drugs in chart.medications.items():
        current = next((drug for drug in drugs if drug.status == "current"), None)
        if current is not None:
            since = current.start.isoformat() if current.start else ""
            yield Drug(name, since, _dose(current.ug_per_day), _route(current.route))


def _drafts(chart: Chart) -> Iterator[tuple[str, Drug]]:
    for name, drugs in chart.medications.items():
        for drug in drugs:
            if drug.status == "draft":
                dose, route = _dose(drug.ug_per_day), _route(drug.route)
                yield f"{DRUG}:{name}", Drug(name, "", dose, route)
    for name, orders in chart.orders.items():
        if any(order.status == "draft" for order in orders):
            yield f"{TEST}:{name}", Drug("")


def _dose(ug_per_day: float | None) -> str:
    return "" if ug_per_day is None else f"{round(ug_per_day, 3):.10g}"


def _route(route: str | None) -> str:
    return route if route in ROUTES else ""
