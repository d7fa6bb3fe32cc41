"""How soon, and which treatment fits."""

from services.vitamin_b12.case import Case


def situation(case: Case) -> str:
    """Which of the guideline's treatments fits; nerves go first, then the cause."""
    found = case.features
    if found.neurological:
        return "neurological"
    if found.severe_anaemia and "severe" in case.knowledge.guideline.treatments:
        return "severe"
    for name in ("autoimmune_gastritis", "surgical", "malabsorption"):
        if case.has_group(name):
            return name
    if case.interfering_antibody:
        return "autoimmune_gastritis"
    if found.nitrous_oxide:
        return "nitrous_oxide"
    return "dietary" if case.has_group("dietary") else "other"


def urgency(case: Case, category: str) -> str:
    """Rule R10: neurological findings do not wait for results."""
    found = case.features
    neurological = bool(found.neurological)
    match category:
        case "deficient" | "deficient-functional":
            if found.myelopathy:
                return "emergency"
            return "urgent" if neurological or found.severe_anaemia else "soon"
        case "insufficient-data":
            if found.myelopathy:
                return "emergency"
            return "urgent" if neurological else "soon"
        case "indeterminate" | "uninterpretable":
            if neurological:
                return "emergency" if found.myelopathy else "urgent"
            return "soon" if found.symptoms or found.pregnant else "routine"
        case "at-risk-untested":
            return "soon" if neurological or found.symptoms else "routine"
        case "on-treatment":
            return "soon" if neurological else "routine"
        case "high-b12":
            return "soon" if twice_high(case) else "routine"
        case "unlikely":
            return "routine" if found.symptoms or neurological else "none"
    return "none"


def twice_high(case: Case) -> bool:
    """Rule R17: above the limit in two measurements."""
    readings = [reading for reading in (case.first, *case.beside) if reading is not None]
    return sum(reading.means == "high" for reading in readings) > 1
