"""The hooks that this service answers, with what people are told of each."""

from collections.abc import Mapping
from dataclasses import dataclass

from cds_hooks.protocol.hook_request import ORDER_SELECT, ORDER_SIGN, PATIENT_VIEW, Hook


@dataclass(frozen=True, slots=True)
class OfferedHook:
    """One service of discovery: its hook, and the words for it on sheets and pages."""

    hook: Hook
    when: str  # in discovery, published plans and choices
    criterion: str  # which calls the EHR lets through, on the build sheet
    moment: str  # in which a sample patient is met, on the start page
    sandbox_screen: str  # the view of the CDS Hooks Sandbox that calls it
    sandbox_trigger: str  # what somebody does there


# In the order of discovery, and of the calls of one moment of a record.
OFFERED_HOOKS: Mapping[str, OfferedHook] = {
    offered.hook.name: offered
    for offered in (
        OfferedHook(
            PATIENT_VIEW,
            when="when a chart is opened",
            criterion="an adult's chart, and one of the criteria below",
            moment="The chart has just been opened.",
            sandbox_screen="patient-view",
            sandbox_trigger="when a patient is shown",
        ),
        OfferedHook(
            ORDER_SELECT,
            when="while an order is chosen",
            criterion="an order of a medicine or a laboratory test is selected",
            moment="An order is being chosen.",
            sandbox_screen="rx-view",
            sandbox_trigger="at once, and at every change of the prescription",
        ),
        OfferedHook(
            ORDER_SIGN,
            when="before orders are signed",
            criterion="orders of medicines or laboratory tests are about to be signed",
            moment="Orders are about to be signed.",
            sandbox_screen="rx-sign",
            sandbox_trigger="when Sign Order is pressed",
        ),
    )
}


def build_service_id(hook: str) -> str:
    """ "b12-muscle-patient-view": in URLs, records and each site's configuration."""
    return f"b12-muscle-{hook}"
