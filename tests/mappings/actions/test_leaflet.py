"""The leaflet: short sentences in both languages, each with a source."""

import re

import pytest

from mappings.actions import leaflet as leaflet_module
from mappings.actions.leaflet import LANGUAGES, read_leaflet
from mappings.knowledge_file import KnowledgeError

LEAFLET = read_leaflet()
SENTENCES = [s for section in LEAFLET.sections for s in section.sentences]
TEXT = (leaflet_module.CLINICAL / "leaflet.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_child_of_eleven_can_read_it(language):
    """Sentences of twenty words at most, twelve on average, and few long words."""
    said = [s.text[language] for s in SENTENCES]
    sentences = [part for text in said for part in re.split(r"(?<=[.:!?])\s+(?=[A-ZÄÖÜ])", text)]
    lengths = [len(sentence.split()) for sentence in sentences]
    assert max(lengths) <= 20, sentences[lengths.index(max(lengths))]
    assert sum(lengths) / len(lengths) <= 12
    longest = 10 if language == "en" else 16
    words = [word for text in said for word in re.findall(r"[^\W\d]+", text)]
    assert sum(len(word) > longest for word in words) / len(words) < 0.04


def test_every_sentence_has_a_source_with_its_place():
    numbers = {source.number: source for source in LEAFLET.sources}
    for sentence in SENTENCES:
        assert sentence.sources
        assert all(numbers[number].locator for number in sentence.sources)
    assert [*numbers] == list(range(1, len(numbers) + 1))


def test_it_says_that_no_clinician_has_read_it():
    assert LEAFLET.reviewer["en"] == "Not yet reviewed by a clinician"


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('sources = ["ng239", "mhra"]', 'sources = ["nobody"]', "Tell your care team soon"),
        ('["bproof"]', '["icfsr"]', "bproof"),
        ('de = "Ihre Muskeln"', 'fr = "Vos muscles"', "section.6.title"),
        ("version =", "versoin =", "file"),
    ],
)
def test_what_is_wrong_in_it_stops_the_start(tmp_path, monkeypatch, old, new, key):
    assert old in TEXT
    (tmp_path / "leaflet.toml").write_text(TEXT.replace(old, new), encoding="utf-8")
    monkeypatch.setattr(leaflet_module, "CLINICAL", tmp_path)
    with pytest.raises(KnowledgeError) as fault:
        read_leaflet()
    assert fault.value.key == key
