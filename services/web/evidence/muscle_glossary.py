"""The words about muscle, and how a definition combines findings."""

from collections.abc import Iterator
from itertools import product

from mappings.publications.definition import Definition
from services.cards import muscle as muscle_card
from services.evaluation.combination import Together
from services.knowledge.site import Known
from services.sarcopenia.labels import CATEGORIES, NEXT_STEPS
from services.sarcopenia.outcome import Assessment
from services.sarcopenia.stages import ALGORITHMS, USES
from services.vitamin_b12.outcome import Assessment as B12Assessment
from services.web.evidence.glossary import Place, Word, in_language

LEVELS = ("low", "normal", "unknown")
PARTS = ("strength", "mass", "performance")


def combined(definition: Definition) -> tuple[tuple[str, ...], list[tuple[tuple[str, ...], str]]]:
    """How the definition combines findings: the parts it looks at, and a row for each combination.

    Asked of the function that judges patients, with something measured and no questionnaire.
    """
    judge, uses = ALGORITHMS[definition.algorithm], USES[definition.algorithm]
    parts = tuple(part for part in PARTS if part in uses)
    rows = []
    for levels in product(LEVELS, repeat=len(parts)):
        given = dict.fromkeys(PARTS, "unknown") | dict(zip(parts, levels, strict=True))
        category = judge(given["strength"], given["mass"], given["performance"], None, False)
        rows.append((levels, CATEGORIES[category]))
    return parts, rows


def categories(known: Known) -> Iterator[Word]:
    ours = {category for _levels, category in reachable(known.muscle.definition)}
    place = Place(known.muscle.definition.id, f"/evidence/{known.muscle.definition.id}#combined")
    for name, says in CATEGORIES.items():
        is_ours = name in ours or name == "out_of_scope_age"
        yield Word(
            name,
            says,
            in_language(known, says),
            indicator=f"{_loud(name)}, {_loud(name, 'same-day')} where a cause cannot wait",
            usual=_loud(name),
            where=(place,) if is_ours else (),
        )


def reachable(definition: Definition) -> Iterator[tuple[object, str]]:
    judge = ALGORITHMS[definition.algorithm]
    screens = ("positive", "negative", None)
    for given in product(LEVELS, LEVELS, LEVELS, screens, (True, False)):
        yield given, judge(*given)


def _loud(category: str, urgent: str | None = None) -> str:
    b12 = B12Assessment("", "", "no-action", "none", False, (), (), (), None, None, None)
    unknown = ("unknown", "unknown", "unknown")
    muscle = Assessment("", "", category, *unknown, (), (), (), (), ())
    return muscle_card.indicator(Together(b12, muscle, "T5", (), urgent)).value


def next_steps(known: Known) -> Iterator[Word]:
    for name, says in NEXT_STEPS.items():
        causes = (cause.title for cause in known.muscle.causes if name in cause.steps)
        where = tuple(Place(title, "/evidence/b12-and-muscle#causes") for title in causes)
        yield Word(name, says, in_language(known, says), where=where)
