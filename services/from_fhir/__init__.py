"""The one door from FHIR to a `Chart`: tolerant of every release and dialect, strict in meaning.

Another patient's resource, a result that is not final, undated, without a unit or impossible never
reaches a rule as a value. What is left out is counted by reason.
"""

from services.from_fhir.chart_reader import read_chart
from services.from_fhir.pages import Readable

__all__ = ["Readable", "read_chart"]
