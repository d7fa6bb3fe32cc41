"""Sentences are for people: the same decisions come out however they are worded.

Every sentence of the rules, the cards and the files of knowledge is replaced by nonsense of the
same length with the same placeholders. Categories, steps, outcomes, indicators, topics and
suggestions stay.
"""

import json
import re
import sys
from dataclasses import replace
from datetime import date
from importlib.resources import files
from string import ascii_lowercase, ascii_uppercase

import pytest
from patients import chart, known, maker, resources
from tables import cases

from cds_hooks.protocol.hook_request import build_reference, read_resources
from mappings import text as text_module
from mappings.text import Numeral, Text
from services.assessment import evidence as evidence_module
from services.assessment.labels import LABELS, RECORD_PARTS
from services.cards import b12_summary
from services.evaluation.evaluate import evaluate
from services.evaluation.order_rules import run_order_rules
from services.evaluation.order_session import OrderSession
from services.hooks.documents import read_document_chart
from services.hooks.topics import TOPICS
from services.knowledge.language import Language
from services.knowledge.messages import list_messages
from services.vitamin_b12 import cautions, results
from services.web.smart_app.findings import describe_findings
from services.web.smart_app.patient import CARDS, STATES

HOOKS = ("patient-view", "order-select", "order-sign")
SAMPLES = sorted(
    file.name
    for folder in ("samples", "golden")
    for file in (files("services.hooks") / folder).iterdir()
    if "sampleDay" in file.read_text()
)
PROFILES = [("uk-ng239", "ewgsop2-2019"), ("us-aafp2025", "awgs-2019"), ("who", "fnih-2014")]
PATIENTS = """
b12 112
b12 112; +ataxia; +numbness
b12 112; +myelopathy; hb 62; k 2.9
b12 212
b12 212; mma 0.61; egfr 78
b12 212; mma 0.61; egfr 40
b12 212; mma 0.61
b12 212; mma 0.9; hcy 30; egfr 78; +fatigue
b12 212; hcy 22; folate 2
b12 400; mma 0.7; egfr 80; +fatigue
b12 400; mma 0.7 range 0.4; egfr 80
b12 212 none
b12 <200
b12 1200; b12 1300 @2026-10-01
b12 400; intrinsic_factor_antibody positive
mma 0.9; +ataxia
mma 0.4
+nitrous_oxide; b12 400; hcy 30; +numbness
+pregnancy; b12 150
+pregnancy; b12 150; mma 0.9; egfr 80
+paraesthesia; rx metformin since 2019-01-01
+pernicious_anaemia
+ataxia; +numbness
mcv 104; order order_cbc
b12 120 @2024-01-01
rx hydroxocobalamin since 2025-01-01; +paraesthesia; order total_b12
rx cyanocobalamin dose 50 route oral; +b12_deficiency; b12 120
b12 112; +leber_optic_neuropathy; draft cyanocobalamin dose 1000 route im
b12 112; draft folic_acid dose 5000
b12 212; +vegan_diet; draft folic_acid dose 5000
b12 212; draft nitrous_oxide
b12 112; +ataxia; draft hydroxocobalamin dose 16 route im
b12 112; draft hydroxocobalamin dose 428 route im
b12 112; +bariatric_surgery; draft cyanocobalamin dose 50 route oral
draft metformin; +fatigue
pending total_b12; order total_b12
grip 14 kg; +muscle_weakness; draft statin
grip 14 kg; b12 112; +ataxia
grip 14 kg; asmi 5.2 by DXA; gait 0.6
grip 14 kg; asmi 5.6
grip 14 kg; rx systemic_corticosteroid
grip_right 14 kg; grip_left 26 kg; +falls
grip 14 none; +falls
grip 15.5 kg
grip <20 kg
grip 30 kg; asmi 5.2 by DXA
grip 30 kg; gait 0.6
asmi 5.6; +muscle_weakness
sarcf 5
sarcf 3
sarcf 5; calf 33; +falls
answers 1 2 - 0 1
answers 2 2 - 2 1; +falls
answers 1 - - 0 1; +muscle_weakness
answers 0 0 0 - 0
calf 30; +muscle_weakness
unable chair
unable chair; sarcf 5; +falls
unable grip; +falls
+falls
+muscle_atrophy; b12 212
grip_sum 40 kg; +falls
grip 14 kg @2020-01-01; +falls
+rhabdomyolysis; +muscle_weakness
ck 4200 range 200; rx statin; +muscle_weakness
weight 60 kg; weight 72 kg @2026-06-01; grip 14 kg
"""
UNITS = ("umol", "pmol")
MADE_ONCE = (
    evidence_module.make_age_reason,
    cautions._format_level,
    cautions._format_blood_finding,
    cautions._format_kidneys,
    results._format_limits,
)


FOLLOWING = str.maketrans(
    ascii_lowercase + ascii_uppercase,
    f"{ascii_lowercase[1:]}a{ascii_uppercase[1:]}A",
)


def nonsense(text):
    """Each letter outside braces by the next of the alphabet; a full stop ends nothing."""
    kept = re.split(r"(\{\w*\})", text.replace(". ", ", "))
    return "".join(part if part.startswith("{") else part.translate(FOLLOWING) for part in kept)


def make_nonsense(template, /, **parts):
    told = {name: part if _is_made(part) else nonsense(part) for name, part in parts.items()}
    return TRUE_MAKE_TEXT(nonsense(template), **told)


def _is_made(part):
    """What holds nonsense already, or no words at all."""
    return not isinstance(part, str) or isinstance(part, Text | Numeral)


TRUE_MAKE_TEXT = text_module.make_text


@pytest.fixture
def rewording(monkeypatch):
    """From here on every sentence is made of nonsense."""
    for module in list(sys.modules.values()):
        if getattr(module, "make_text", None) is TRUE_MAKE_TEXT:
            monkeypatch.setattr(module, "make_text", make_nonsense)
    for labels in LABELS.values():
        for code, label in labels.items():
            new = label._replace(sentence=nonsense(label.sentence))
            monkeypatch.setitem(labels, code, new)
    for table in (RECORD_PARTS, STATES, CARDS):
        for name, text in table.items():
            monkeypatch.setitem(table, name, nonsense(text))
    _forget()
    yield
    _forget()


def _forget():
    for made in MADE_ONCE:
        made.cache_clear()


def _texts(table):
    return {name: nonsense(text) for name, text in table.items()}


def reworded(knows):
    """The same knowledge with other words for everything that it names."""
    rules = {
        name: replace(
            rule,
            title=nonsense(rule.title),
            cases={
                case: replace(said, summary=nonsense(said.summary), says=nonsense(said.says))
                for case, said in rule.cases.items()
            },
        )
        for name, rule in knows.order_rules.items()
    }
    templates = {
        name: replace(
            one,
            label=nonsense(one.label),
            test=nonsense(one.test),
            description=nonsense(one.description),
        )
        for name, one in knows.templates.by_id.items()
    }
    causes = tuple(
        replace(
            cause,
            title=nonsense(cause.title),
            next=nonsense(cause.next),
            against=nonsense(cause.against),
        )
        for cause in knows.muscle.causes
    )
    lines = {name: (nonsense(says), where) for name, (says, where) in knows.b12.group_texts.items()}
    muscle, titles = knows.muscle, _texts(knows.b12.titles)
    treatments = {
        name: replace(one, says=nonsense(one.says))
        for name, one in knows.b12.guideline.treatments.items()
    }
    guideline = replace(knows.b12.guideline, treatments=treatments)
    return replace(
        knows,
        b12=replace(knows.b12, guideline=guideline, titles=titles, group_texts=lines),
        muscle=replace(muscle, titles=titles, refused=_texts(muscle.refused), causes=causes),
        order_rules=rules,
        templates=replace(knows.templates, by_id=templates),
    )


def in_nonsense(seen):
    """The same chart with other words for what is on record."""
    return replace(
        seen,
        findings={
            name: tuple(one._replace(text=nonsense(one.text)) for one in found)
            for name, found in seen.findings.items()
        },
        medications={
            name: tuple(one._replace(text=nonsense(one.text)) for one in found)
            for name, found in seen.medications.items()
        },
    )


def decisions(seen, drafts, knows):
    """Everything that is decided of a patient; no sentence is among it."""
    found = evaluate(seen, knows, TOPICS)
    decided = {
        "b12": (
            *(found.b12.category, found.b12.urgency, found.b12.neurological),
            *(found.b12.flags, found.b12.next_steps, found.b12.situation),
            _evidence(found.b12.evidence),
        ),
        "muscle": (
            *(found.muscle.category, found.muscle.strength, found.muscle.mass),
            *(found.muscle.performance, found.muscle.flags, found.muscle.next_steps),
            *(found.muscle.triggers, _evidence(found.muscle.evidence)),
        ),
        "together": (found.tier, found.urgent),
        "causes": [(one.cause, one.resources, one.urgent) for one in found.differential],
        "app": _app(seen, knows),
    }
    for hook in HOOKS:
        session = OrderSession(
            seen, found, knows, {build_reference(d): d for d in drafts}, hook, encounter="7"
        )
        shown, withheld = maker(knows).draft_candidates(session, {})
        decided[hook] = [_card(one) for one in shown], withheld
        decided[f"orders at {hook}"] = [
            (one.rule.id, one.case, one.indicator, one.about, _steps(one.proposals))
            for one in (run_order_rules(session) if not seen.deceased else ())
        ]
    return decided


def _steps(proposals):
    return [[(s.type, s.draft, s.template) for s in one.steps] for one in proposals]


def _evidence(rows):
    return [(e.rule, e.outcome, e.resource, e.value, e.comparator, e.unit, e.day) for e in rows]


def _card(candidate):
    card = candidate.card
    return (
        candidate.topic,
        candidate.urgent,
        card.indicator,
        card.rests_on,
        len(card.links),
        [
            (
                one.is_recommended,
                [(action.type, action.template, action.resource_id) for action in one.actions],
            )
            for one in card.suggestions
        ],
    )


def _app(seen, knows):
    told = describe_findings(seen, knows)
    return (
        [
            (
                axis.tone,
                axis.when is None,
                [(one.rule, bool(one.value), bool(one.day)) for one in axis.reasons],
                len(axis.steps),
                len(axis.flags),
                bool(axis.remark),
            )
            for axis in (told.b12, told.muscle)
        ],
        [one.urgent for one in told.causes],
        told.association is None,
    )


def patients():
    """Charts with their drafts: bundled calls, golden calls, and the list above."""
    for name in SAMPLES:
        folder = "golden" if (files("services.hooks") / "golden" / name).is_file() else "samples"
        call = json.loads((files("services.hooks") / folder / name).read_text())
        day = date.fromisoformat(call.pop("sampleDay"))
        drafts = read_resources(call["context"].get("draftOrders") or {"entry": []})
        yield name, read_document_chart(call, known(), day), list(drafts)
    for text in filter(None, PATIENTS.splitlines()):
        yield text, chart(text), resources(text)[1]


@pytest.mark.parametrize(("guideline", "definition"), PROFILES)
def test_reworded_sentences_change_no_decision(guideline, definition, request):
    knows = known(guideline, definition)
    before = {name: decisions(seen, drafts, knows) for name, seen, drafts in patients()}
    request.getfixturevalue("rewording")
    others = reworded(knows)
    after = {
        name: decisions(in_nonsense(seen), drafts, others) for name, seen, drafts in patients()
    }
    for name, decided in before.items():
        assert after[name] == decided, name


def test_a_language_changes_no_decision():
    knows = known()
    spoken = replace(
        knows, language=Language("de", {text: nonsense(text) for text in list_messages()})
    )
    for name, seen, drafts in patients():
        assert decisions(seen, drafts, spoken) == decisions(seen, drafts, knows), name


def test_nonsense_leaves_no_word_as_it_was(request):
    before = {name: list(_words(seen, known())) for name, seen, _ in patients()}
    request.getfixturevalue("rewording")
    others = reworded(known())
    for name, seen, _ in patients():
        for old, new in zip(before[name], _words(in_nonsense(seen), others), strict=True):
            assert not old & new, name


def _words(seen, knows):
    found = evaluate(seen, knows, TOPICS)
    for evidence in (*found.b12.evidence, *found.muscle.evidence):
        yield {word for word in re.findall(r"[A-Za-z]{4,}", evidence.says) if word not in UNITS}


@cases("""
    patient                                             | rule               | outcomes
    ----------------------------------------------------+--------------------+----------------------
    b12 112                                             | first-line-band    | deficient
    b12 212                                             | first-line-band    | indeterminate
    b12 400                                             | first-line-band    | unlikely
    b12 1200                                            | first-line-band    | high
    +pregnancy; b12 150                                 | first-line-band    | not_applied
    b12 212; mma 0.2                                    | methylmalonic-acid | normal
    b12 212; mma 0.5                                    | methylmalonic-acid | raised
    b12 212; mma 0.9                                    | methylmalonic-acid | grossly_raised
    b12 212; hcy 30                                     | homocysteine       | raised
    b12 212; mma 0.5; egfr 80                           | kidney-function    | working
    b12 212; mma 0.5; egfr 40                           | kidney-function    | impaired
    mcv 104                                             | blood-count        | macrocytosis
    hb 70                                               | blood-count        | severe_anaemia
    b12 212 none                                        | unit-safety        | unusable
    b12 <200                                            | unit-safety        | undecided
    b12 120 @2024-01-01                                 | old-result         | stale
    +paraesthesia                                       | neurological       | present
    b12 112                                             | treatment          | reason
    grip 14 kg                                          | strength           | low
    grip 30 kg                                          | strength           | normal
    grip <20 kg                                         | strength           | undecided
    grip 14 none                                        | unit-safety        | unusable
    grip 14 kg @2020-01-01                              | stale              | stale
    grip_sum 40 kg                                      | refused            | refused
    unable chair                                        | strength           | low
    unable grip                                         | measure strength   | not_done
    sarcf 5                                             | screen             | positive
    sarcf 3                                             | screen             | negative
    answers 1 2 - 0 1                                   | screen             | positive
    answers 1 - - 0 1                                   | screen             | undecided
    +falls                                              | trigger            | present
""")
def test_what_a_rule_looked_at_carries_its_outcome_as_a_code(case):
    found = evaluate(chart(case["patient"]), known(), TOPICS)
    evidence = (*found.b12.evidence, *found.muscle.evidence)
    outcomes = [e.outcome for e in evidence if e.rule in case["rule"].split()]
    assert outcomes == case["outcomes"].split()


def test_every_meaning_of_a_limit_is_an_outcome():
    laboratory = known().b12.laboratory
    for guideline in known().read_guidelines().values():
        for row in (*guideline.cutoffs, *laboratory.cutoffs):
            assert evidence_module.Outcome(row.means) == row.means


def order_card(text, language=None, knows=None):
    """The summary of the card that leads with an order, and the labels of its suggestions."""
    knows = knows or known()
    knows = replace(knows, language=language or knows.language)
    seen, (_, drafts) = chart(text), resources(text)
    found = evaluate(seen, knows, TOPICS)
    session = OrderSession(
        seen, found, knows, {build_reference(d): d for d in drafts}, "order-sign"
    )
    [shown], _ = maker(knows).draft_candidates(session, {})
    return shown.card.summary, [one.label for one in shown.card.suggestions]


def test_the_first_sentence_is_whole_whatever_stops_are_in_it():
    between = "{result} is indeterminate ({limit})"
    text = "b12 212; +fatigue; draft folic_acid dose 5000"
    steady, _ = order_card(text)
    abbreviated = Language("de", {between: "{result}, i. e. between ({limit})"})
    summary, _ = order_card(text, abbreviated)
    assert "Vitamin B12 212 ng/L is indeterminate (180 to 350 ng/L)" in steady
    assert "Vitamin B12 212 ng/L, i. e. between (180 to 350 ng/L)" in summary


def test_the_result_that_shows_a_functional_deficiency_is_named_by_its_value(request):
    seen = chart("b12 400; mma 0.61; egfr 80; +fatigue")
    request.getfixturevalue("rewording")
    found = evaluate(seen, known(), TOPICS)
    assert found.b12.category == "deficient-functional"
    assert "0.61 µmol/L" in b12_summary.write_summary(found.b12, "en-GB", Language())


def test_tests_are_named_whatever_the_label_of_their_order_is():
    knows = known()
    others = {
        name: replace(one, label=f"Please request {one.test}")
        for name, one in knows.templates.by_id.items()
    }
    renamed = replace(knows, templates=replace(knows.templates, by_id=others))
    text = "b12 112; draft hydroxocobalamin dose 428 route im"
    _, labels = order_card(text, knows=renamed)
    assert order_card(text)[1] == labels
