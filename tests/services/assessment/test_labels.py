"""One label for each code: of the assessment's schema, of its rules, of what is not shown or used."""

import ast
import re
from pathlib import Path

import pytest
from patients import known

import cds_hooks
import services.cards
import services.sarcopenia
import services.vitamin_b12
from mappings.publications.differential import read_differential
from services.assessment import b12_steps, codes
from services.assessment.b12_steps import B12Rule, B12Step
from services.assessment.codes import (
    B12Category,
    B12Flag,
    IndicatorClass,
    Level,
    SarcopeniaCategory,
    SarcopeniaFlag,
    SarcopeniaStep,
    Tier,
    Trigger,
    Urgency,
    WithheldReason,
)
from services.assessment.evidence import SarcopeniaRule
from services.assessment.labels import LABELS, find_reason, list_sentences
from services.assessment.schema import build_assessment_schema
from services.chart.model import DroppedReason, UnusableReason
from services.knowledge.language import list_languages, read_language
from services.knowledge.site_checks import refuse_unknown_words

SCHEMA = build_assessment_schema()
B12 = SCHEMA["properties"]["b12"]["properties"]
MUSCLE = SCHEMA["properties"]["sarcopenia"]["properties"]
INDICATOR = B12["combinedIndicator"]["oneOf"][1]["properties"]
WORDS = SCHEMA["$defs"]["words"]["items"]["enum"]  # steps and flags of B12
# Written by the protocol, which imports nothing of the services.
DIALECT_REASONS = {WithheldReason.UNSUPPORTED, WithheldReason.UNMAPPED}


@pytest.mark.parametrize("kind", LABELS, ids=lambda kind: kind.__name__)
def test_every_code_has_a_label_and_every_label_a_code(kind):
    assert [*LABELS[kind]] == [*kind]
    for label in LABELS[kind].values():
        assert label.sentence
        assert label.short


def test_every_enumeration_of_codes_has_labels():
    kinds = {
        one
        for one in (*vars(codes).values(), *vars(b12_steps).values())
        if isinstance(one, type) and issubclass(one, codes.Code) and one is not codes.Code
    }
    assert kinds | {SarcopeniaRule, DroppedReason, UnusableReason} == {*LABELS}


@pytest.mark.parametrize(
    ("kind", "enumerated"),
    [
        (B12Category, B12["category"]["enum"]),
        (Urgency, B12["urgency"]["enum"]),
        (IndicatorClass, INDICATOR["class"]["enum"]),
        (SarcopeniaCategory, MUSCLE["category"]["enum"]),
        (SarcopeniaStep, MUSCLE["nextSteps"]["items"]["enum"]),
        (SarcopeniaFlag, MUSCLE["flags"]["items"]["enum"]),
        (Level, MUSCLE["strength"]["enum"]),
        (Level, MUSCLE["mass"]["enum"]),
        (Level, MUSCLE["performance"]["enum"]),
        (Tier, SCHEMA["properties"]["tier"]["enum"]),
    ],
)
def test_codes_are_those_of_the_schema(kind, enumerated):
    assert {*kind} == {*enumerated}


def test_steps_and_flags_of_b12_are_those_of_the_schema():
    assert {*B12Step} | {*B12Flag} == {*WORDS}


@pytest.mark.parametrize("language", list_languages())
@pytest.mark.parametrize("kind", LABELS, ids=lambda kind: kind.__name__)
def test_every_sentence_is_there_in_every_language(kind, language):
    messages = read_language(language).messages
    for code, sentence in list_sentences(kind).items():
        assert language == "en" or messages.get(sentence), code


@pytest.mark.parametrize(
    ("package", "kind", "in_data"),
    [
        (services.vitamin_b12, B12Rule, {marker.rule for marker in known().b12.markers}),
        (services.sarcopenia, SarcopeniaRule, set()),
    ],
)
def test_every_rule_is_one_that_writes_evidence(package, kind, in_data):
    assert _members(package, kind) | in_data == {*kind}


def test_every_reason_to_withhold_a_card_has_its_label():
    """What the modules of cards and dialects write before the colon, or after it for a topic."""
    written = {text.rpartition(":")[2] for text in _strings(services.cards)}
    assert {*WithheldReason} - DIALECT_REASONS - written <= {"off", "silent", "audience"}
    dialects = (Path(cds_hooks.__path__[0]) / "protocol" / "dialects.py").read_text()
    for reason in DIALECT_REASONS:
        assert f'"{reason}"' in dialects


def test_triggers_are_the_group_of_the_data():
    group = known().muscle.groups["muscle_trigger"]
    assert {*Trigger} == {*group, Trigger.MEASURED}


def test_steps_and_flags_that_data_names_are_codes():
    knowledge = known()
    for guideline in knowledge.read_guidelines().values():
        refuse_unknown_words(guideline, guideline.id)
    for cause in read_differential(knowledge.index):
        assert {*cause.steps} <= {*SarcopeniaStep}
    classes = knowledge.b12.indicator["classes"]
    assert {row["means"] for row in classes} == {*IndicatorClass}


def test_a_status_is_no_reason_of_ours():
    assert find_reason("cancelled") is None
    assert find_reason("no-unit") == list_sentences(UnusableReason)["no-unit"]
    assert find_reason("repeated") == list_sentences(DroppedReason)["repeated"]


def _trees(package):
    for file in sorted(Path(package.__path__[0]).glob("*.py")):
        yield ast.parse(file.read_text())


def _members(package, kind):
    """The members of an enumeration that the code of a package names."""
    return {
        getattr(kind, node.attr)
        for tree in _trees(package)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == kind.__name__
    }


def _strings(package):
    """Every string of a package; a formatted one with its fields in braces."""
    for tree in _trees(package):
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            elif isinstance(node, ast.JoinedStr):
                yield re.sub(r"^f?[\"']|[\"']$", "", ast.unparse(node))
