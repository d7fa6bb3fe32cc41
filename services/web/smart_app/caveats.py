"""Why a level must not be read as it stands: what was given, or is on record, before its day."""

from mappings.text import say
from services.assessment.evidence import Outcome
from services.chart.model import Chart, Measurement
from services.knowledge.site import Known
from services.vitamin_b12.findings import exposed_to_nitrous_oxide, is_pregnant
from services.vitamin_b12.labels import FLAGS
from services.vitamin_b12.replacement import is_antidote, replacement
from services.vitamin_b12.results import FIRST_LINE, Incomparable, Reading

METABOLITES = frozenset({"methylmalonic_acid", "homocysteine"})
OPEN_TO_DOUBT = frozenset({*FIRST_LINE, *METABOLITES})
# What no B12 that was given could have made of a level.
STANDS = frozenset({Outcome.DEFICIENT, Outcome.RAISED, Outcome.GROSSLY_RAISED})


def doubt_of_level(
    result: Measurement, read: Reading | Incomparable, then: Chart, known: Known
) -> str:
    """Why total or active B12 must not be read as it stands; empty where nothing is known."""
    given = replacement(then, known.b12)
    total = result.observation == "total_b12"
    if given.parenteral:
        return FLAGS["do-not-interpret-b12-level"]
    if isinstance(read, Reading) and read.means == "deficient":
        return _in_pregnancy() if total and is_pregnant(then, known.b12) else ""
    if given.oral:
        return FLAGS["note-supplement-masks"]
    if total and is_pregnant(then, known.b12):
        return _in_pregnancy()
    if exposed_to_nitrous_oxide(then):
        return say("Nitrous oxide is on record: a level that is not low does not reassure.")
    return _masked(then) if total else ""


def _in_pregnancy() -> str:
    return say("total B12 falls in pregnancy without deficiency")


def _masked(then: Chart) -> str:
    antibodies = then.qualitative.get("intrinsic_factor_antibody")
    if antibodies and antibodies[0].positive:
        return FLAGS["flag-assay-interference"]
    if then.has("transcobalamin_deficiency"):
        return say("Transcobalamin deficiency is on record: total B12 looks normal in it.")
    return ""


def doubt_of_metabolite(read: Reading | Incomparable, then: Chart, known: Known) -> str:
    """Why methylmalonic acid or homocysteine must not be read as it stands."""
    observation = read.result.observation
    if observation == "methylmalonic_acid" and then.has("inborn_methylmalonic_acidaemia"):
        return FLAGS["mma-not-interpretable"]
    normal = isinstance(read, Reading) and read.means == "normal"
    if normal and replacement(then, known.b12).under_way:
        return say("Measured under B12: normal shows that it works, not that it is not needed.")
    return ""


def is_undated(name: str, chart: Chart, known: Known) -> bool:
    """Whether B12 is on record without a start: no level is known to be of before it."""
    return name in OPEN_TO_DOUBT and any(
        drug.start is None and drug.status != "draft" and not is_antidote(drug, chart)
        for concept in known.b12.groups["replacement"]
        for drug in chart.medications.get(concept, ())
    )
