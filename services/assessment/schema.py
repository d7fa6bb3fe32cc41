"""The JSON Schema of an assessment, with the codes that there are."""

import json
from enum import StrEnum
from importlib.resources import files
from typing import Any

from services.assessment.b12_steps import B12Step
from services.assessment.codes import (
    B12Category,
    B12Flag,
    IndicatorClass,
    Level,
    SarcopeniaCategory,
    SarcopeniaFlag,
    SarcopeniaStep,
    Tier,
    Urgency,
)


def build_assessment_schema() -> dict[str, Any]:
    """The schema of one line of `cobalamin assess`; the file leaves the codes out."""
    path = files("services.assessment") / "schemas" / "assessment.schema.json"
    schema: dict[str, Any] = json.loads(path.read_text("utf-8"))
    properties = schema["properties"]
    b12, muscle = (properties[topic]["properties"] for topic in ("b12", "sarcopenia"))
    b12["category"] = _list_codes(B12Category)
    b12["urgency"] = _list_codes(Urgency)
    _refused, indicator = b12["combinedIndicator"]["oneOf"]
    indicator["properties"]["class"] = _list_codes(IndicatorClass)
    # Guidelines name steps, and a few words are both a step and a flag: one list for both.
    schema["$defs"]["words"]["items"] = {"enum": sorted({*B12Step, *B12Flag})}
    muscle["category"] = _list_codes(SarcopeniaCategory)
    for measure in ("strength", "mass", "performance"):
        muscle[measure] = _list_codes(Level)
    muscle["flags"]["items"] = {"enum": sorted(SarcopeniaFlag)}
    muscle["nextSteps"]["items"] = {"enum": sorted(SarcopeniaStep)}
    properties["tier"] = _list_codes(Tier)
    return schema


def _list_codes(kind: type[StrEnum]) -> dict[str, list[str]]:
    return {"enum": [*kind]}
