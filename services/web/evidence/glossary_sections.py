"""Every name that an assessment can hold, with the sentence that a card says for it."""

from collections.abc import Iterator

from mappings.knowledge_file import CLINICAL, read_toml
from services.assessment.b12_steps import B12Rule
from services.assessment.codes import B12Flag, SarcopeniaFlag
from services.assessment.evidence import SarcopeniaRule
from services.assessment.labels import list_sentences
from services.knowledge.site import SiteKnowledge
from services.web.evidence import b12_glossary, muscle_glossary
from services.web.evidence.glossary import (
    GlossaryEntry,
    GlossarySection,
    Place,
    build_entries,
    translate_text,
)


def build_sections(knowledge: SiteKnowledge) -> tuple[GlossarySection, ...]:
    """The whole list, B12 first."""
    return (
        GlossarySection(
            "b12-categories",
            "Vitamin B12: categories",
            "Each patient is in one of them. Those without an indicator get no card.",
            tuple(b12_glossary.list_categories(knowledge)),
        ),
        GlossarySection(
            "b12-next-steps",
            "Vitamin B12: next steps",
            "What a card says to do; where the guideline in force calls for it by name, its place.",
            tuple(b12_glossary.list_next_steps(knowledge)),
        ),
        GlossarySection(
            "b12-flags",
            "Vitamin B12: cautions",
            "What could mislead.",
            tuple(build_entries(list_sentences(B12Flag), knowledge)),
        ),
        GlossarySection(
            "b12-rules",
            "Vitamin B12: what each rule looks at",
            "`rule` in the evidence of an assessment, `rules` in the log.",
            tuple(build_entries(list_sentences(B12Rule), knowledge)),
        ),
        GlossarySection(
            "muscle-categories",
            "Muscle: categories",
            f"Those of {knowledge.muscle.definition.id} are marked; "
            "the others are other definitions'.",
            tuple(muscle_glossary.list_categories(knowledge)),
        ),
        GlossarySection(
            "muscle-next-steps",
            "Muscle: next steps",
            "What a card says to do, and which other cause calls for it by name.",
            tuple(muscle_glossary.list_next_steps(knowledge)),
        ),
        GlossarySection(
            "muscle-flags",
            "Muscle: cautions",
            "What could mislead.",
            tuple(build_entries(list_sentences(SarcopeniaFlag), knowledge)),
        ),
        GlossarySection(
            "muscle-rules",
            "Muscle: what each rule looks at",
            "`rule` in the evidence of an assessment; in the log after `muscle:`.",
            tuple(build_entries(list_sentences(SarcopeniaRule), knowledge)),
        ),
        GlossarySection(
            "orders",
            "Draft orders",
            "What is said of an order while it is chosen or signed. "
            "What stands in braces is what the order names.",
            tuple(_list_order_entries(knowledge)),
        ),
        GlossarySection(
            "causes",
            "Other causes of muscle loss",
            "A pointer is a reason to look, never a diagnosis.",
            tuple(_list_causes(knowledge)),
        ),
        GlossarySection(
            "answers",
            "Why a card may be set aside",
            "What clinicians can answer.",
            tuple(_list_answers(knowledge)),
        ),
    )


def _list_order_entries(knowledge: SiteKnowledge) -> Iterator[GlossaryEntry]:
    for rule in knowledge.order_rules.values():
        place = Place(f"{rule.source}: {rule.locator}", f"/evidence/orders#{rule.id}")
        for name, case in rule.cases.items():
            translated = [knowledge.language(case.summary), knowledge.language(case.says)]
            here = " ".join(translated) if translated != [case.summary, case.says] else None
            yield GlossaryEntry(
                f"{rule.id}, {name}",
                f"{case.summary} {case.says}",
                here,
                indicator=case.indicator,
                usual=case.indicator,
                when=rule.title,
                where=(place,),
            )


def _list_causes(knowledge: SiteKnowledge) -> Iterator[GlossaryEntry]:
    source = read_toml(CLINICAL / "differential.toml")["source"]
    for cause in knowledge.muscle.causes:
        says = f"{cause.title}. {cause.next}"
        translated = f"{knowledge.language(cause.title)}. {knowledge.language(cause.next)}"
        yield GlossaryEntry(
            cause.id,
            says,
            translated if translated != says else None,
            when={"same-day": "cannot wait a day", "urgent": "cannot wait for weeks"}.get(
                cause.urgent or ""
            ),
            where=(Place(source, "/evidence/b12-and-muscle#causes"),),
        )


def _list_answers(knowledge: SiteKnowledge) -> Iterator[GlossaryEntry]:
    document = read_toml(CLINICAL / "override_reasons.toml")
    for reason in document["reasons"]:
        says = reason["display"]
        place = Place(document["source"])
        yield GlossaryEntry(reason["code"], says, translate_text(knowledge, says), where=(place,))
