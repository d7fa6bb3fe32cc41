"""Evaluate one patient by every topic: hook calls, the command line and population runs."""

from collections.abc import Iterable
from typing import Any

from services.chart.model import Chart
from services.evaluation.combination import Evaluation, combine_assessments
from services.evaluation.topic import TopicRules
from services.knowledge.site import SiteKnowledge


def evaluate(chart: Chart, knowledge: SiteKnowledge, topics: Iterable[TopicRules]) -> Evaluation:
    """Assess `chart` by the rules of each of `topics`, and combine the assessments."""
    assessments = {topic.id: topic.assess(chart, knowledge) for topic in topics}
    return combine_assessments(chart, assessments, knowledge.muscle)


def as_json(chart: Chart, evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation as services/assessment/schemas/assessment.schema.json has it."""
    return {
        "patient": chart.patient,
        "asOf": chart.today.isoformat(),
        "b12": evaluation.b12.as_json(),
        "sarcopenia": evaluation.muscle.as_json(),
        "tier": evaluation.tier,
        "differential": [suspected.as_json() for suspected in evaluation.differential],
    }
