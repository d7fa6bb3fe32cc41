"""One patient, both axes: what a request, the command line and a population run all call."""

from typing import Any

from services.chart.model import Chart
from services.evaluation.combination import Evaluation, combine_assessments
from services.knowledge.site import SiteKnowledge
from services.sarcopenia.assess import assess as assess_muscle
from services.vitamin_b12.assess import assess as assess_b12


def evaluate(chart: Chart, known: SiteKnowledge) -> Evaluation:
    """Both assessments of `chart`, with what they mean together."""
    return combine_assessments(
        chart, assess_b12(chart, known.b12), assess_muscle(chart, known.muscle), known.muscle
    )


def as_json(chart: Chart, found: Evaluation) -> dict[str, Any]:
    """The assessment as services/assessment/schemas/assessment.schema.json has it."""
    return {
        "patient": chart.patient,
        "asOf": chart.today.isoformat(),
        "b12": found.b12.as_json(),
        "sarcopenia": found.muscle.as_json(),
        "tier": found.tier,
        "differential": [pointed.as_json() for pointed in found.differential],
    }
