"""The interface of an assessment, whatever its topic: category, evidence, urgency."""

from typing import Protocol

from services.assessment.evidence import Evidence


class TopicAssessment(Protocol):
    """The result of the rules of one topic for one patient."""

    @property
    def category(self) -> str: ...

    @property
    def evidence(self) -> tuple[Evidence, ...]: ...

    @property
    def urgent(self) -> bool:
        """Whether days matter because of the topic itself."""
