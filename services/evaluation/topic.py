"""The rules of one topic, as an evaluation calls them."""

from collections.abc import Iterable
from typing import Protocol

from services.assessment.topic import TopicAssessment
from services.chart.model import Chart
from services.knowledge.site import SiteKnowledge


class TopicRules(Protocol):
    """A clinical question with rules of its own."""

    @property
    def id(self) -> str:
        """ "sarcopenia": in the findings of records and log lines, and in metrics."""

    def assess(self, chart: Chart, knowledge: SiteKnowledge) -> TopicAssessment:
        """Assess one patient."""

    def get_label(self, knowledge: SiteKnowledge) -> str:
        """The publication in force with its version: "uk-ng239 2024-03"."""


def list_labels(knowledge: SiteKnowledge, topics: Iterable[TopicRules]) -> dict[str, str]:
    """The publication in force for each topic, by its id: for records, log and metrics."""
    return {topic.id: topic.get_label(knowledge) for topic in topics}
