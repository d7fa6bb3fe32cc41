"""The words about muscle, and how a definition combines findings."""

from collections.abc import Iterator
from itertools import product

from mappings.publications.definition import Definition
from services.cards import muscle as muscle_card
from services.knowledge.site import SiteKnowledge
from services.sarcopenia.labels import CATEGORIES, NEXT_STEPS
from services.sarcopenia.stages import ALGORITHMS, MEASURES_USED
from services.web.evidence.glossary import GlossaryEntry, Place, translate_text

LEVELS = ("low", "normal", "unknown")
PARTS = ("strength", "mass", "performance")


def list_combinations(
    definition: Definition,
) -> tuple[tuple[str, ...], list[tuple[tuple[str, ...], str]]]:
    """How the definition combines findings: the parts it looks at, and a row for each combination.

    Asked of the function that judges patients, with something measured and no questionnaire.
    """
    judge, uses = ALGORITHMS[definition.algorithm], MEASURES_USED[definition.algorithm]
    parts = tuple(part for part in PARTS if part in uses)
    rows = []
    for levels in product(LEVELS, repeat=len(parts)):
        given = dict.fromkeys(PARTS, "unknown") | dict(zip(parts, levels, strict=True))
        category = judge(given["strength"], given["mass"], given["performance"], None, False)
        rows.append((levels, CATEGORIES[category]))
    return parts, rows


def list_categories(known: SiteKnowledge) -> Iterator[GlossaryEntry]:
    ours = {category for _levels, category in find_outcomes(known.muscle.definition)}
    place = Place(known.muscle.definition.id, f"/evidence/{known.muscle.definition.id}#combined")
    for name, says in CATEGORIES.items():
        is_ours = name in ours or name == "out_of_scope_age"
        yield GlossaryEntry(
            name,
            says,
            translate_text(known, says),
            indicator=f"{_find_indicator(name)}, {_find_indicator(name, 'same-day')} where a cause cannot wait",
            usual=_find_indicator(name),
            where=(place,) if is_ours else (),
        )


def find_outcomes(definition: Definition) -> Iterator[tuple[object, str]]:
    judge = ALGORITHMS[definition.algorithm]
    screens = ("positive", "negative", None)
    for given in product(LEVELS, LEVELS, LEVELS, screens, (True, False)):
        yield given, judge(*given)


def _find_indicator(category: str, urgent: str | None = None) -> str:
    return muscle_card.find_indicator(category, urgent).value


def list_next_steps(known: SiteKnowledge) -> Iterator[GlossaryEntry]:
    for name, says in NEXT_STEPS.items():
        causes = (cause.title for cause in known.muscle.causes if name in cause.steps)
        where = tuple(Place(title, "/evidence/b12-and-muscle#causes") for title in causes)
        yield GlossaryEntry(name, says, translate_text(known, says), where=where)
