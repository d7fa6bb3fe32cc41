"""The bundled sample patients: what is in their charts, and the cards that are shown for them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from cds_hooks.config.tenants import Tenant
from mappings.text import format_amount, format_english
from services.cards.composer import CardComposer
from services.chart.model import Chart, Medication, calculate_age
from services.hooks.catalog import read_attention_rules
from services.hooks.documents import assess_document, read_document_chart
from services.hooks.topics import TOPICS
from services.knowledge.site import SiteKnowledge
from services.web.what_if.query import SAMPLE_NAMES, read_sample

FIRST_SAMPLE = "neuropathy"  # shown where nothing is chosen
SEX_TITLES = {"female": "Woman", "male": "Man"}


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


def assess_samples(known: SiteKnowledge, base_url: str, tenant: Tenant) -> dict[str, Sample]:
    """All of them by name, assessed as `cobalamin try` does."""
    maker = CardComposer.from_site(known, TOPICS, base_url)
    names = sorted(SAMPLE_NAMES, key=lambda name: name != FIRST_SAMPLE)
    return {name: _assess_sample(name, maker, tenant) for name in names}


def _assess_sample(name: str, maker: CardComposer, tenant: Tenant) -> Sample:
    document, day = read_sample(name)
    known = maker.knowledge
    chart = read_document_chart(document, known, day)
    attention = read_attention_rules(tenant.service_tables.get("attention"), known)
    result = assess_document(document, maker, day, attention)
    age = f", {calculate_age(chart.born[0], day)} years" if chart.born else ""
    return Sample(
        name,
        f"{SEX_TITLES.get(chart.sex or '', 'Patient')}{age}",
        format_english(day),
        document["hook"],
        tuple(_list_facts(chart, known)),
        tuple(result["cards"]),
    )


def _list_facts(chart: Chart, known: SiteKnowledge) -> Iterator[Fact]:
    for found in chart.findings.values():
        for one in found:
            says = one.text or known.b12.titles[one.concept]
            yield Fact(
                "on record", says if one.active else f"{says}, resolved", day=_format_day(one.onset)
            )
    for drugs in chart.medications.values():
        for drug in drugs:
            yield _describe_drug(drug, known)
    for name, results in chart.measurements.items():
        for result in results:
            value = format_amount(result.value, result.unit, result.comparator)
            side = f", {result.side}" if result.side else ""
            title = f"{known.b12.titles[name]}{side}"
            yield Fact("result", title, str(value), _format_day(result.day))


def _describe_drug(drug: Medication, known: SiteKnowledge) -> Fact:
    kind = {"draft": "being ordered", "past": "took"}.get(drug.status, "takes")
    return Fact(kind, drug.text or known.b12.titles[drug.concept], day=_format_day(drug.start))


def _format_day(day: date | None) -> str:
    return format_english(day) if day else ""
