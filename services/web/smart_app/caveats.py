"""Why a level must not be read as it stands: what was given, or is on record, before its day."""

from mappings.text import make_text
from services.assessment.codes import B12Flag
from services.assessment.evidence import Outcome
from services.assessment.labels import get_sentence
from services.chart.model import Chart, Measurement
from services.knowledge.site import SiteKnowledge
from services.vitamin_b12.findings import is_pregnant, list_nitrous_oxide_exposures
from services.vitamin_b12.replacement import is_antidote, read_replacement
from services.vitamin_b12.results import FIRST_LINE, IncomparableResult, Reading

METABOLITES = frozenset({"methylmalonic_acid", "homocysteine"})
DOUBTFUL_OBSERVATIONS = frozenset({*FIRST_LINE, *METABOLITES})
# What no B12 that was given could have made of a level.
DEFINITE_OUTCOMES = frozenset({Outcome.DEFICIENT, Outcome.RAISED, Outcome.GROSSLY_RAISED})


def find_level_caveat(
    result: Measurement,
    reading: Reading | IncomparableResult,
    chart: Chart,
    knowledge: SiteKnowledge,
) -> str:
    """Why total or active B12 must not be read as it stands; empty where nothing is known."""
    replacement = read_replacement(chart, knowledge.b12)
    total = result.observation == "total_b12"
    if replacement.parenteral:
        return get_sentence(B12Flag, B12Flag.DO_NOT_INTERPRET_B12_LEVEL)
    if isinstance(reading, Reading) and reading.means == "deficient":
        return _describe_pregnancy() if total and is_pregnant(chart, knowledge.b12) else ""
    if replacement.oral:
        return get_sentence(B12Flag, B12Flag.NOTE_SUPPLEMENT_MASKS)
    if total and is_pregnant(chart, knowledge.b12):
        return _describe_pregnancy()
    if list_nitrous_oxide_exposures(chart):
        return make_text("Nitrous oxide is on record: a level that is not low does not reassure.")
    return _find_interference(chart) if total else ""


def _describe_pregnancy() -> str:
    return make_text("total B12 falls in pregnancy without deficiency")


def _find_interference(chart: Chart) -> str:
    antibodies = chart.qualitative.get("intrinsic_factor_antibody")
    if antibodies and antibodies[0].positive:
        return get_sentence(B12Flag, B12Flag.FLAG_ASSAY_INTERFERENCE)
    if chart.has("transcobalamin_deficiency"):
        return make_text("Transcobalamin deficiency is on record: total B12 looks normal in it.")
    return ""


def find_metabolite_caveat(
    reading: Reading | IncomparableResult, chart: Chart, knowledge: SiteKnowledge
) -> str:
    """Why methylmalonic acid or homocysteine must not be read as it stands."""
    observation = reading.result.observation
    if observation == "methylmalonic_acid" and chart.has("inborn_methylmalonic_acidaemia"):
        return get_sentence(B12Flag, B12Flag.MMA_NOT_INTERPRETABLE)
    normal = isinstance(reading, Reading) and reading.means == "normal"
    if normal and read_replacement(chart, knowledge.b12).under_way:
        return make_text(
            "Measured under B12: normal shows that it works, not that it is not needed."
        )
    return ""


def is_undated(name: str, chart: Chart, knowledge: SiteKnowledge) -> bool:
    """Whether B12 is on record without a start: no level is known to be of before it."""
    return name in DOUBTFUL_OBSERVATIONS and any(
        drug.start is None and drug.status != "draft" and not is_antidote(drug, chart)
        for concept in knowledge.b12.groups["replacement"]
        for drug in chart.medications.get(concept, ())
    )
