"""The words about muscle, and how a definition combines findings."""

from collections.abc import Iterator
from itertools import product

from mappings.publications.definition import Definition
from services.assessment.codes import Level, SarcopeniaCategory, SarcopeniaStep
from services.assessment.labels import get_sentence, list_sentences
from services.cards import muscle as muscle_card
from services.knowledge.site import SiteKnowledge
from services.sarcopenia.stages import ALGORITHMS, MEASURES_USED
from services.web.evidence.glossary import GlossaryEntry, Place, translate_text

PARTS = ("strength", "mass", "performance")


def list_combinations(
    definition: Definition,
) -> tuple[tuple[str, ...], list[tuple[tuple[Level, ...], str]]]:
    """How the definition combines findings: the parts it looks at, and a row for each combination.

    Asked of the function that judges patients, with something measured and no questionnaire.
    """
    judge, uses = ALGORITHMS[definition.algorithm], MEASURES_USED[definition.algorithm]
    parts = tuple(part for part in PARTS if part in uses)
    rows = []
    for levels in product(Level, repeat=len(parts)):
        values = dict.fromkeys(PARTS, Level.UNKNOWN) | dict(zip(parts, levels, strict=True))
        category = judge(values["strength"], values["mass"], values["performance"], None, False)
        rows.append((levels, get_sentence(SarcopeniaCategory, category)))
    return parts, rows


def list_categories(knowledge: SiteKnowledge) -> Iterator[GlossaryEntry]:
    outcomes = {category for _levels, category in find_outcomes(knowledge.muscle.definition)}
    definition = knowledge.muscle.definition
    place = Place(definition.id, f"/evidence/{definition.id}#combined")
    for name in SarcopeniaCategory:
        says = get_sentence(SarcopeniaCategory, name)
        is_ours = name in outcomes or name == SarcopeniaCategory.OUT_OF_SCOPE_AGE
        yield GlossaryEntry(
            name,
            says,
            translate_text(knowledge, says),
            indicator=f"{_find_indicator(name)}, "
            f"{_find_indicator(name, 'same-day')} where a cause cannot wait",
            usual=_find_indicator(name),
            where=(place,) if is_ours else (),
        )


def find_outcomes(definition: Definition) -> Iterator[tuple[object, str]]:
    judge = ALGORITHMS[definition.algorithm]
    screens = ("positive", "negative", None)
    for arguments in product(Level, Level, Level, screens, (True, False)):
        yield arguments, judge(*arguments)


def _find_indicator(category: SarcopeniaCategory, urgent: str | None = None) -> str:
    return muscle_card.find_indicator(category, urgent).value


def list_next_steps(knowledge: SiteKnowledge) -> Iterator[GlossaryEntry]:
    for name, says in list_sentences(SarcopeniaStep).items():
        causes = (cause.title for cause in knowledge.muscle.causes if name in cause.steps)
        where = tuple(Place(title, "/evidence/b12-and-muscle#causes") for title in causes)
        yield GlossaryEntry(name, says, translate_text(knowledge, says), where=where)
