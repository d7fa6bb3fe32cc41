"""Run the rules about draft orders; their texts are in mappings/clinical/order_rules.toml."""

from collections.abc import Callable, Mapping

from mappings.actions.order_rules import FILE, OrderRule
from mappings.knowledge_file import KnowledgeError
from services.evaluation.drug_orders import (
    check_chloramphenicol,
    check_folic_acid,
    check_leber,
    check_lowering_medicine,
    check_nitrous_oxide,
    check_oral_dose,
    check_regimen,
    check_right_order,
    check_statin,
    check_steroid,
)
from services.evaluation.laboratory_orders import (
    check_blood_count,
    check_duplicate_test,
    check_level_on_injections,
)
from services.evaluation.order_proposals import RuleResults
from services.evaluation.order_session import OrderFinding, OrderSession

INDICATORS_DESCENDING = ("critical", "warning", "info")
ANY_AGE_RULES = frozenset({"leber", "duplicate-test"})
RULES: Mapping[str, Callable[[OrderSession], RuleResults]] = {
    "leber": check_leber,
    "folic-acid": check_folic_acid,
    "nitrous-oxide": check_nitrous_oxide,
    "regimen": check_regimen,
    "oral-dose": check_oral_dose,
    "right-order": check_right_order,
    "level-on-injections": check_level_on_injections,
    "duplicate-test": check_duplicate_test,
    "lowering-medicine": check_lowering_medicine,
    "blood-count": check_blood_count,
    "chloramphenicol": check_chloramphenicol,
    "statin": check_statin,
    "steroid": check_steroid,
}


def run_order_rules(session: OrderSession) -> tuple[OrderFinding, ...]:
    """What the rules find of the drafts that the call is about, the most urgent first."""
    if not session.drafts:
        return ()
    rules = session.knowledge.order_rules
    findings = [
        OrderFinding(
            rules[name],
            result.case,
            result.text_parts,
            result.about,
            tuple(proposal for proposal in result.proposals if proposal.steps),
        )
        for name, check in RULES.items()
        if session.category != "out-of-scope" or name in ANY_AGE_RULES
        for result in check(session)
    ]
    return tuple(
        sorted(findings, key=lambda finding: INDICATORS_DESCENDING.index(finding.indicator))
    )


def check_rule_texts(rules: Mapping[str, OrderRule]) -> None:
    """Raises KnowledgeError where a rule has no words, or words have no rule."""
    for name in RULES.keys() ^ rules.keys():
        where = "a rule without words" if name in RULES else "words without a rule"
        raise KnowledgeError(FILE, f"rule.{name}", where)
