"""Check at start that steps, flags and orders named by markers and site guidelines are known."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mappings.actions.order_template import OrderTemplates
from mappings.knowledge_file import KnowledgeError, read_toml
from mappings.publications.definition import read_definition
from mappings.publications.guideline import Guideline
from mappings.publications.guideline_file import read_guideline
from mappings.publications.laboratory import FILE as LABORATORY_FILE
from mappings.publications.laboratory import Marker
from mappings.terminology.value_set import ValueSetIndex
from services.assessment.b12_steps import B12Rule, B12Step
from services.assessment.codes import B12Flag
from services.assessment.labels import LABELS

# Pages of the evidence beside those of guidelines: /evidence/orders.
RESERVED_IDS = {"b12-and-muscle", "orders", "rules", "choices", "side-by-side", "codes"}


def check_own_guidelines(own: Mapping[str, Path], index: ValueSetIndex) -> None:
    """Raises KnowledgeError for a file that cannot be relied on."""
    for id_, path in own.items():
        if id_ in RESERVED_IDS:
            raise KnowledgeError(path.name, "id", f"{id_} is the name of another page")
        match read_toml(path).get("subject"):
            case "b12":
                refuse_unknown_words(read_guideline(id_, index, own=own), path.name)
            case "sarcopenia":
                read_definition(id_, index, own=own)
            case _:
                raise KnowledgeError(path.name, "subject", "is neither b12 nor sarcopenia")


def check_markers(markers: Iterable[Marker], templates: OrderTemplates) -> None:
    """Raises KnowledgeError for a step or rule without a label, or an order without a template."""
    for marker in markers:
        key = f"markers {marker.observation}"
        for step in marker.steps:
            if step not in LABELS[B12Step]:
                raise KnowledgeError(LABORATORY_FILE.name, key, f"no sentence for the step {step}")
        if marker.rule not in LABELS[B12Rule]:
            raise KnowledgeError(LABORATORY_FILE.name, key, f"no label of the rule {marker.rule}")
        for names in marker.orders.values():
            for name in names:
                if name not in templates.by_id:
                    raise KnowledgeError(LABORATORY_FILE.name, key, f"no order template {name}")


def refuse_unknown_words(guideline: Guideline, file: str) -> None:
    """Raises KnowledgeError for a step or flag that no card has a sentence for.

    It would be left out of the card, and nobody would miss it.
    """
    for key, step in _list_steps(guideline):
        if step not in LABELS[B12Step]:
            raise KnowledgeError(file, key, f"no sentence for the next step {step}")
    for flag in guideline.flags:
        if flag not in LABELS[B12Flag]:
            raise KnowledgeError(file, "flags", f"no sentence for the flag {flag}")


def _list_steps(guideline: Guideline) -> Iterator[tuple[str, str]]:
    """(key, word) of every next step that the file names."""
    testing = guideline.testing
    yield "testing.offer_step", testing.offer_step
    yield "testing.second_test_step", testing.second_test_step
    yield "testing.pregnancy_step", testing.pregnancy_step
    yield "testing.nitrous_oxide_step", testing.nitrous_oxide_step
    if testing.asymptomatic_drug_step is not None:
        yield "testing.asymptomatic_drug_step", testing.asymptomatic_drug_step
    for row in testing.durations:
        yield f"testing.duration {row.subject}", row.step
    for treatment in guideline.treatments.values():
        for step in treatment.steps:
            yield f"treatment {treatment.situation}", step
