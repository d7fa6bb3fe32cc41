"""The words about vitamin B12: when each category holds, how loud, what calls for each step."""

from collections.abc import Iterator, Mapping

from mappings.publications.guideline import Guideline
from services.cards import b12 as b12_card
from services.chart.model import Chart, Finding
from services.knowledge.site import Known
from services.vitamin_b12.case import read_case
from services.vitamin_b12.knowledge import Knowledge
from services.vitamin_b12.labels import NEXT_STEPS, TITLES
from services.vitamin_b12.orders import TESTS
from services.vitamin_b12.outcome import Assessment
from services.vitamin_b12.results import locator_text
from services.vitamin_b12.treatment import urgency
from services.web.evidence.glossary import Place, Word, in_language
from services.web.evidence.glossary_text import B12_WHEN

# What a row of limits has to mean for a category to rest on it.
RESTS_ON = {
    "deficient": ("deficient",),
    "deficient-functional": ("raised", "grossly_raised"),
    "indeterminate": ("indeterminate",),
    "unlikely": ("unlikely",),
    "high-b12": ("high",),
}


def categories(known: Known) -> Iterator[Word]:
    guideline = known.b12.guideline
    for name, when in B12_WHEN.items():
        title = TITLES.get(name)
        yield Word(
            name,
            title or "",
            in_language(known, title) if title else None,
            indicator=_indicator(name, known.b12) if title else None,
            usual=_loud(name, "soon") if title else None,
            when=when,
            where=tuple(
                Place(
                    f"{known.b12.titles[row.observation]} {row.said}: {locator_text(row)}",
                    f"/evidence/{guideline.id}#limit-{number}",
                )
                for number, row in enumerate(guideline.cutoffs, start=1)
                if row.means in RESTS_ON.get(name, ())
            ),
        )


def _indicator(category: str, knowledge: Knowledge) -> str:
    """How loud a card about this category is, by how soon it asks for something.

    The rules are asked how soon that is with nothing on record, with a finding of nerves, and with
    one of the cord.
    """

    ever = {urgency(read_case(chart, knowledge), category) for chart in _charts(knowledge)}
    last = _loud(category, "soon")
    said = [last]
    for soon, words in (("urgent", "where days matter"), ("emergency", "on the same day")):
        if soon in ever and _loud(category, soon) != last:
            last = _loud(category, soon)
            said.append(f"{last} {words}")
    begun = _loud(category, "soon", None)
    if begun != said[0]:
        said.append(f"{begun} once treatment has begun")
    return ", ".join(said)


def _loud(category: str, soon: str, situation: str | None = "other") -> str:
    found = Assessment("", "", category, soon, False, (), (), (), None, situation, None)
    return b12_card.indicator(found).value


def _charts(knowledge: Knowledge) -> Iterator[Chart]:
    day, cord = knowledge.guideline.reviewed, knowledge.groups["myelopathy"]
    nerves = next(name for name in knowledge.groups["neurological"] if name not in cord)
    yield Chart("", day)
    for name in (nerves, cord[0]):
        yield Chart("", day, findings={name: (Finding(name, ""),)})


def next_steps(known: Known) -> Iterator[Word]:
    places = _called_for(known.b12.guideline, known.b12.titles)
    by_id = known.templates.by_id
    for name, says in NEXT_STEPS.items():
        yield Word(
            name,
            says,
            in_language(known, says),
            where=tuple(places.get(name, ())),
            offers=tuple(by_id[id_].label for id_ in TESTS.get(name, ()) if id_ in by_id),
        )


def _called_for(guideline: Guideline, titles: Mapping[str, str]) -> dict[str, list[Place]]:
    """By next step the places at which the guideline's file names it."""
    testing, page = guideline.testing, f"/evidence/{guideline.id}"
    named = [
        (testing.offer_step, "first test", testing.rule_locator),
        (testing.second_test_step, "second test", testing.second_test_locator),
        (testing.pregnancy_step, "pregnancy", testing.pregnancy_locator),
        (testing.nitrous_oxide_step, "nitrous oxide", testing.nitrous_oxide_locator),
    ]
    if testing.asymptomatic_drug_step and testing.asymptomatic_drug_locator:
        drug = testing.asymptomatic_drug_locator
        named.append((testing.asymptomatic_drug_step, "medicine without symptoms", drug))
    named += [
        (row.step, titles[row.subject], f"{row.source}: {row.locator}") for row in testing.durations
    ]
    found: dict[str, list[Place]] = {}
    for step, what, locator in named:
        found.setdefault(step, []).append(Place(f"{what}: {locator}", f"{page}#testing"))
    for treatment in guideline.treatments.values():
        says = f"treatment, {treatment.situation.replace('_', ' ')}: {treatment.locator}"
        for step in treatment.steps:
            found.setdefault(step, []).append(Place(says, f"{page}#treatment"))
    return found
