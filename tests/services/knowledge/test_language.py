"""Cards in a second language: complete, with its numbers and dates, and no English in between."""

import re
from datetime import date

import pytest
from message_extraction import extract_messages
from patients import cards as cards_of
from patients import chart, resources

from mappings.knowledge_file import KnowledgeError
from mappings.text import Numeral, format_amount, lowercase_first, make_text, name_code
from services.cli.main import main
from services.evaluation.evaluate import as_json, evaluate
from services.hooks.topics import TOPICS
from services.knowledge import language as languages_module
from services.knowledge.language import (
    Language,
    find_untranslated,
    list_languages,
    read_language,
)
from services.knowledge.messages import list_messages, read_template
from services.knowledge.site import load_knowledge

GERMAN = load_knowledge({"language": {"code": "de"}})
# Words that English sentences cannot do without, and German has none of.
ENGLISH = re.compile(
    r"\b(the|and|of|is|are|with|for|not|by|to|or|on|below|above|at|since|no|as|from|under 16)\b"
)
# What stays as it was published: who says so, and where.
CITED = re.compile(
    r"Quelle: [^\n]*?Version|\((?:Quelle: )?[^()]*\)$|\(Quelle: [^\n]*|\([^()]*\)\.?$", re.MULTILINE
)


def german(text, **options):
    found = chart(text, **options)
    made, _ = cards_of(found, GERMAN, "7", resources(text)[1])
    return made


PATIENTS = """
b12 112
b12 112; +paraesthesia
b12 112; +myelopathy
b12 112; draft folic_acid
b12 112; k 3.1; hb 74
b12 112; +vegan_diet
b12 112; +pernicious_anaemia
b12 112; +bariatric_surgery; draft cyanocobalamin dose 50 route oral
b12 112; +leber_optic_neuropathy; draft cyanocobalamin dose 1000 route im
b12 112; +ataxia; draft hydroxocobalamin dose 16 route im
b12 112; hb 70; draft hydroxocobalamin dose 428 route im
b12 112; draft nitrous_oxide
b12 112; draft metformin
b12 212
b12 212; +fatigue
b12 212; mma 0.61; egfr 78
b12 212; mma 0.61; egfr 40
b12 212; mma 0.61
b12 212; hcy 22; folate 2
b12 212; +ataxia
b12 212 none
b12 <200
b12 1200
b12 1200; b12 1300 @2026-10-01
b12 400; intrinsic_factor_antibody positive
b12 400; mma 0.7; egfr 80; +fatigue
+nitrous_oxide; b12 400; +numbness
+pregnancy; b12 150
+paraesthesia; rx metformin since 2019-01-01
+ataxia; +numbness
mcv 104
mcv 104; order order_cbc
+peripheral_neuropathy; order order_cbc
+pernicious_anaemia
draft folic_acid dose 5000
draft folic_acid dose 5000; +fatigue
draft nitrous_oxide
draft metformin; +fatigue
rx hydroxocobalamin since 2026-01-01; order total_b12
rx hydroxocobalamin since 2025-01-01; +paraesthesia
rx cyanocobalamin dose 50 route oral; +b12_deficiency; b12 120
rx chloramphenicol; b12 112; draft hydroxocobalamin
pending total_b12; order total_b12
b12 120 @2024-01-01
grip 14
grip 14; b12 112
grip 14; asmi 5.2 by DXA; gait 0.6
grip 14; rx systemic_corticosteroid; rx statin; tsh 9; crp 40
grip 14; draft systemic_corticosteroid
grip 14 none
grip_right 14; grip_left 22
sarcf 6
answers 3 2 - 1 -
sarccalf 12
unable chair
walk 8 s over 4 m
+falls; +muscle_weakness
+muscle_weakness; draft statin
+muscle_weakness; ck 2400 range 170
+muscle_weakness; +motor_neuron_disease
+muscle_weakness; weight 70 @2026-06-01; weight 62
+falls; grip_sum 40
""".strip().splitlines()


@pytest.mark.parametrize("text", PATIENTS)
def test_a_german_card_has_no_english_sentence(text):
    for card in german(text):
        said = [card.summary, *(s.label for s in card.suggestions)]
        said += [action.description for s in card.suggestions for action in s.actions]
        said += [reason.display for reason in card.override_reasons]
        said += [link.label for link in card.links if ": " not in link.label]
        said += CITED.sub("", card.detail).splitlines()
        for line in said:
            assert not ENGLISH.search(line), line


def test_most_of_those_patients_have_a_card():
    assert sum(bool(german(text)) for text in PATIENTS) > 0.85 * len(PATIENTS)


@pytest.mark.parametrize("text", PATIENTS)
def test_summaries_keep_their_length(text):
    assert all(0 < len(card.summary) < 140 for card in german(text))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("b12 112", "| Vitamin B12 im Mangelbereich | 112 ng/L | 1. Nov. 2026 | unter 180 ng/L |"),
        ("b12 212; mma 0.61; egfr 78", "| Methylmalonsäure erhöht | 0,61 µmol/L | 1. Nov. 2026 |"),
        ("b12 212", "180 bis 350 ng/L"),
        ("grip 14.5", "| Griffkraft niedrig | 14,5 kg | 1. Nov. 2026 | unter 16 kg |"),
        ("b12 112; +paraesthesia @2026-07-01", "Parästhesie (1. Juli 2026)"),
    ],
)
def test_values_limits_and_dates_as_germans_write_them(text, said):
    [card] = german(text)
    assert said in card.detail


def test_the_template_holds_every_message_of_the_code():
    """Where it does not: python tests/support/message_extraction.py."""
    assert read_template() == extract_messages()


def test_german_is_complete():
    assert list_languages() == ("en", "de")
    assert find_untranslated(GERMAN.language) == ()
    assert set(GERMAN.language.messages) <= set(list_messages()), "a translation of nothing"


def test_english_is_what_is_written():
    knows = load_knowledge()
    [card], _ = cards_of(chart("b12 112"), knows)
    assert card.summary.startswith("Vitamin B12 112 ng/L: deficient (below 180 ng/L).")
    assert type(knows.language(card.summary)) is type(card.summary)


def test_a_text_remembers_how_it_was_made():
    german_words = {"{title} below {amount}": "{title} unter {amount}", "Iron": "Eisen"}
    language = Language("de", german_words)
    said = make_text("{title} below {amount}", title="Iron", amount=format_amount(1.5, "mg/L", "<"))
    assert said == "Iron below <1.5 mg/L"
    assert language(said) == "Eisen unter <1,5 mg/L"
    assert lowercase_first("Iron") == "iron"
    assert lowercase_first("MCV") == "MCV"
    assert language(lowercase_first("Iron")) == "Eisen"
    assert language(name_code("Iron level, serum", "Iron")) == "Eisen"
    assert language(name_code("Zinc level, serum", "Zinc")) == "Zinc level, serum"
    assert language(Numeral("1200.25")) == "1200,25"
    assert language(make_text("{day}", day=date(2026, 3, 1))) == "1. März 2026"
    assert language(make_text("{names}", names=("Iron", "Zinc"))) == "Eisen, Zinc"


def test_a_language_that_there_is_not_stops_the_start():
    with pytest.raises(KnowledgeError, match="fr is none of en, de"):
        load_knowledge({"language": {"code": "fr"}})


def test_a_translation_with_other_parts_stops_the_start(tmp_path, monkeypatch):
    head = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n'
    (tmp_path / "xx.po").write_text(head + 'msgid "above {amount}"\nmsgstr "über {menge}"\n')
    monkeypatch.setattr(languages_module, "FOLDER", tmp_path)
    with pytest.raises(KnowledgeError, match="has other"):
        read_language("xx")


def test_check_config_names_what_is_untranslated(tmp_path, monkeypatch, capsys):
    shipped = (languages_module.FOLDER / "de.po").read_text(encoding="utf-8")
    partly = shipped.replace('msgstr "Substitution beginnen."', 'msgstr ""')
    (tmp_path / "de.po").write_text(partly, encoding="utf-8")
    monkeypatch.setattr(languages_module, "FOLDER", tmp_path)
    config = tmp_path / "c.toml"
    config.write_text('[language]\ncode = "de"\n')
    with pytest.raises(SystemExit) as end:
        main(["check-config", str(config)])
    assert not end.value.code
    said = capsys.readouterr().out
    assert f"language: de; 1 of {len(list_messages())} untranslated" in said
    assert "Start replacement." in said


def test_orders_keep_the_words_of_their_country():
    """What is ordered is the template's, whatever language its suggestion speaks."""
    [card] = german("b12 212; +fatigue; egfr 90")
    [action] = card.suggestions[0].actions
    assert action.description == "Methylmalonsäure (MMA) im Serum anfordern"
    assert action.resource["code"]["text"] == "Methylmalonic acid, serum"
    assert action.resource["reasonCode"] == [{"text": "Vitamin B12 im Graubereich"}]


def test_the_assessment_stays_english():
    found = chart("b12 112; +paraesthesia")
    says = [e["says"] for e in as_json(found, evaluate(found, GERMAN, TOPICS))["b12"]["evidence"]]
    assert "Vitamin B12 deficient" in says
