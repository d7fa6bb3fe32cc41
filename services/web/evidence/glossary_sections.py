"""Every name that an assessment can hold, with the sentence that a card says for it."""

from collections.abc import Iterator

from mappings.knowledge_file import CLINICAL, read_toml
from services.knowledge.site import Known
from services.sarcopenia import labels as muscle_wording
from services.vitamin_b12 import labels as b12_wording
from services.web.evidence import b12_glossary, muscle_glossary
from services.web.evidence.glossary import Place, Section, Word, in_language, words_of
from services.web.evidence.glossary_text import B12_RULES, MUSCLE_RULES


def sections(known: Known) -> tuple[Section, ...]:
    """The whole list, B12 first."""
    return (
        Section(
            "b12-categories",
            "Vitamin B12: categories",
            "Each patient is in one of them. Those without an indicator get no card.",
            tuple(b12_glossary.categories(known)),
        ),
        Section(
            "b12-next-steps",
            "Vitamin B12: next steps",
            "What a card says to do; where the guideline in force calls for it by name, its place.",
            tuple(b12_glossary.next_steps(known)),
        ),
        Section(
            "b12-flags",
            "Vitamin B12: cautions",
            "What could mislead.",
            tuple(words_of(b12_wording.FLAGS, known)),
        ),
        Section(
            "b12-rules",
            "Vitamin B12: what each rule looks at",
            "`rule` in the evidence of an assessment, `rules` in the log.",
            tuple(Word(name, says) for name, says in B12_RULES.items()),
        ),
        Section(
            "muscle-categories",
            "Muscle: categories",
            f"Those of {known.muscle.definition.id} are marked; the others are other definitions'.",
            tuple(muscle_glossary.categories(known)),
        ),
        Section(
            "muscle-next-steps",
            "Muscle: next steps",
            "What a card says to do, and which other cause calls for it by name.",
            tuple(muscle_glossary.next_steps(known)),
        ),
        Section(
            "muscle-flags",
            "Muscle: cautions",
            "What could mislead.",
            tuple(words_of(muscle_wording.FLAGS, known)),
        ),
        Section(
            "muscle-rules",
            "Muscle: what each rule looks at",
            "`rule` in the evidence of an assessment; in the log after `muscle:`.",
            tuple(Word(name, says) for name, says in MUSCLE_RULES.items()),
        ),
        Section(
            "orders",
            "Draft orders",
            "What is said of an order while it is chosen or signed. "
            "What stands in braces is what the order names.",
            tuple(_order_words(known)),
        ),
        Section(
            "causes",
            "Other causes of muscle loss",
            "A pointer is a reason to look, never a diagnosis.",
            tuple(_causes(known)),
        ),
        Section(
            "answers",
            "Why a card may be set aside",
            "What clinicians can answer.",
            tuple(_answers(known)),
        ),
    )


def _order_words(known: Known) -> Iterator[Word]:
    for rule in known.order_rules.values():
        place = Place(f"{rule.source}: {rule.locator}", f"/evidence/orders#{rule.id}")
        for name, case in rule.cases.items():
            translated = [known.language(case.summary), known.language(case.says)]
            here = " ".join(translated) if translated != [case.summary, case.says] else None
            yield Word(
                f"{rule.id}, {name}",
                f"{case.summary} {case.says}",
                here,
                indicator=case.indicator,
                usual=case.indicator,
                when=rule.title,
                where=(place,),
            )


def _causes(known: Known) -> Iterator[Word]:
    source = read_toml(CLINICAL / "differential.toml")["source"]
    for cause in known.muscle.causes:
        says = f"{cause.title}. {cause.next}"
        translated = f"{known.language(cause.title)}. {known.language(cause.next)}"
        yield Word(
            cause.id,
            says,
            translated if translated != says else None,
            when={"same-day": "cannot wait a day", "urgent": "cannot wait for weeks"}.get(
                cause.urgent or ""
            ),
            where=(Place(source, "/evidence/b12-and-muscle#causes"),),
        )


def _answers(known: Known) -> Iterator[Word]:
    document = read_toml(CLINICAL / "override_reasons.toml")
    for reason in document["reasons"]:
        says = reason["display"]
        place = Place(document["source"])
        yield Word(reason["code"], says, in_language(known, says), where=(place,))
