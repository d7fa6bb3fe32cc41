"""What the services hand to the platform to keep: codes that the assessment's schema lists."""

import pytest
from patients import chart, known

from services.assessment.schema import build_assessment_schema
from services.cards.composer import build_record
from services.evaluation.evaluate import evaluate
from services.hooks.topics import TOPICS

PROPERTIES = build_assessment_schema()["properties"]


@pytest.mark.parametrize(
    "text",
    ["", "b12 112", "b12 212", "b12 400; grip 15", "b12 112; +paraesthesia; grip 14", "grip 13.7"],
)
def test_findings_are_categories_of_the_assessment(text):
    """The platform takes any code for any topic; which there are is said here."""
    record = build_record(evaluate(chart(text), known(), TOPICS), known(), TOPICS, ())
    assert list(record["findings"]) == ["b12", "sarcopenia"] == list(record["knowledge"])
    for topic, category in record["findings"].items():
        assert category in PROPERTIES[topic]["properties"]["category"]["enum"]
