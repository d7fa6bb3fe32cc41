"""The words about vitamin B12: when each category holds, how loud, what calls for each step."""

from collections.abc import Iterator, Mapping

from mappings.guideline import Guideline
from services import b12_card
from services.knowledge import Known
from services.vitamin_b12.outcome import Assessment
from services.vitamin_b12.suggestions import TESTS
from services.vitamin_b12.wording import NEXT_STEPS, TITLES
from services.workbench.evidence.listing import Place, Word, in_language
from services.workbench.evidence.words import B12_WHEN

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
            indicator=_indicator(name) if title else None,
            when=when,
            where=tuple(
                Place(
                    f"{known.b12.titles[row.observation]} {row.said}: {row.locator}",
                    f"/evidence/{guideline.id}#limit-{number}",
                )
                for number, row in enumerate(guideline.cutoffs, start=1)
                if row.means in RESTS_ON.get(name, ())
            ),
        )


def _indicator(category: str) -> str:
    """How loud a card about this category is, by how soon it asks for something."""

    def loud(urgency: str) -> str:
        found = Assessment("", "", category, urgency, False, (), (), (), None, "other", None)
        return b12_card.indicator(found).value

    said, last = [loud("soon")], loud("soon")
    for urgency, words in (("urgent", "where days matter"), ("emergency", "on the same day")):
        if loud(urgency) != last:
            last = loud(urgency)
            said.append(f"{last} {words}")
    return ", ".join(said)


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
