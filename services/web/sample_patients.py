"""The bundled sample patients: what is in their charts, and the cards that are shown for them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from cds_hooks.config.tenants import Tenant
from mappings.text import amount, english
from services.cards.composer import CardMaker
from services.chart.model import Chart, Medication, completed_years
from services.hooks.catalog import attention_of
from services.hooks.documents import assessment_of, chart_of_document
from services.knowledge.site import Known
from services.web.what_if.query import SAMPLES, sample

FIRST = "neuropathy"  # shown where nothing is chosen
SEX = {"female": "Woman", "male": "Man"}


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of a chart. `kind`: "result", "on record", "takes" or "being ordered"."""

    kind: str
    says: str
    value: str = ""
    day: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """A made-up patient on the day that she was made up for."""

    name: str
    who: str  # "Woman, 78 years"
    day: str
    hook: str
    facts: tuple[Fact, ...]
    cards: tuple[dict[str, Any], ...]

    @property
    def title(self) -> str:
        return self.name.replace("-", " ").capitalize()

    @property
    def why(self) -> str:
        """What stands out in the chart, in a line."""
        return ", ".join(fact.says for fact in self.facts if fact.kind != "result")


def sample_patients(known: Known, base_url: str, tenant: Tenant) -> dict[str, Sample]:
    """All of them by name, assessed as `cobalamin try` does."""
    maker = CardMaker.at_start(known, base_url)
    names = sorted(SAMPLES, key=lambda name: name != FIRST)
    return {name: _sample(name, maker, tenant) for name in names}


def _sample(name: str, maker: CardMaker, tenant: Tenant) -> Sample:
    document, day = sample(name)
    known = maker.known
    chart = chart_of_document(document, known, day)
    attention = attention_of(tenant.clinical.get("attention"), known)
    result = assessment_of(document, maker, day, attention)
    age = f", {completed_years(chart.born[0], day)} years" if chart.born else ""
    return Sample(
        name,
        f"{SEX.get(chart.sex or '', 'Patient')}{age}",
        english(day),
        document["hook"],
        tuple(_facts(chart, known)),
        tuple(result["cards"]),
    )


def _facts(chart: Chart, known: Known) -> Iterator[Fact]:
    for found in chart.findings.values():
        for one in found:
            says = one.text or known.b12.titles[one.concept]
            yield Fact(
                "on record", says if one.active else f"{says}, resolved", day=_day(one.onset)
            )
    for drugs in chart.medications.values():
        for drug in drugs:
            yield _drug(drug, known)
    for name, results in chart.measurements.items():
        for result in results:
            value = amount(result.value, result.unit, result.comparator)
            side = f", {result.side}" if result.side else ""
            title = f"{known.b12.titles[name]}{side}"
            yield Fact("result", title, str(value), _day(result.day))


def _drug(drug: Medication, known: Known) -> Fact:
    kind = {"draft": "being ordered", "past": "took"}.get(drug.status, "takes")
    return Fact(kind, drug.text or known.b12.titles[drug.concept], day=_day(drug.start))


def _day(day: date | None) -> str:
    return english(day) if day else ""
