"""What stands out in a report: plain rules with stated limits, each finding with its number."""

from dataclasses import replace

import duckdb

from services.reports import answer_highlights, operation_highlights
from services.reports.highlight import Figures, Highlight

MAX_ALIKE = 4  # findings of one rule
RULES = (*operation_highlights.RULES, *answer_highlights.RULES)


def find_highlights(figures: Figures, connection: duckdb.DuckDBPyConnection) -> list[Highlight]:
    """Problems first, each in the order of the rules."""
    found = [
        one for rule in RULES for one in _limit_highlights(list(rule.find(figures, connection)))
    ]
    return sorted(found, key=lambda finding: not finding.problem)


def _limit_highlights(found: list[Highlight]) -> list[Highlight]:
    """The first of what one rule found, and the others in one."""
    if len(found) <= MAX_ALIKE:
        return found
    said, others = found[: MAX_ALIKE - 1], found[MAX_ALIKE - 1 :]
    names = ", ".join(one.about for one in others)
    more = Highlight(f"{len(others)} more like that", f"{names}.", said[0].where, names)
    return [*said, replace(more, problem=said[0].problem)]
