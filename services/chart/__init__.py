"""The patient's chart: read tolerantly from FHIR, strict in meaning.

Another patient's resource, a result that is not final, undated, without a unit or impossible never
reaches a rule as a value. What is left out is counted by reason.
"""
