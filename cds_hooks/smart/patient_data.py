"""Read the app's patient from the FHIR server, with the user's access token."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from cds_hooks.config.tenants import FhirAccess
from cds_hooks.fhir.client import FhirClient
from cds_hooks.protocol import prefetch
from cds_hooks.protocol.errors import CallError, MissingDataError
from cds_hooks.protocol.hook_request import PATIENT_VIEW, FhirAuthorization, HookRequest
from cds_hooks.protocol.prefetch import FetchResult, PrefetchAnswer
from cds_hooks.smart.launch import LaunchToken

DEADLINE_MS = 5_000  # somebody who opens a page waits longer than one who is interrupted
MAX_PAGES = 25  # trends go back for years


class LaunchEndedError(CallError):
    """The access token of a launch has ended."""

    status = 401
    code = "LaunchOver"
    text = "This launch has ended."

    def __init__(self) -> None:
        super().__init__("Open the app again from the patient's chart.", ["launch"])


def extend_access(access: FhirAccess) -> FhirAccess:
    """`access` with the longer deadline and the more pages that the app may take."""
    return replace(
        access,
        deadline_ms=max(access.deadline_ms, DEADLINE_MS),
        max_pages=max(access.max_pages, MAX_PAGES),
    )


def read_patient(
    fhir: FhirClient, launch: LaunchToken, templates: Mapping[str, str], now: float
) -> tuple[dict[str, PrefetchAnswer], tuple[FetchResult, ...]]:
    """An answer for each key of `templates`, and the fetches for them.

    What the launch's scopes do not cover is not asked for, and stays unknown.
    """
    request = HookRequest(
        hook=PATIENT_VIEW.name,
        hook_instance="",
        context={"patientId": launch.patient},
        prefetch={},
        fhir_server=launch.server,
        authorization=FhirAuthorization(
            launch.token, launch.scope, math.floor(launch.ends - now), launch.patient
        ),
    )
    return fhir.complete_answers(request, prefetch.read_prefetch(request, templates), templates)


def require_answers(
    answers: Mapping[str, PrefetchAnswer], fetches: Iterable[FetchResult], keys: Iterable[str]
) -> None:
    """Raises MissingDataError where one of `keys` is not known, and LaunchEndedError where that is
    because the server takes the token no longer."""
    missing = sorted(key for key in keys if not answers[key].is_known)
    if not missing:
        return
    if any(fetch.reason == "status-401" for fetch in fetches):
        raise LaunchEndedError
    raise MissingDataError(
        f"The FHIR server did not give: {', '.join(missing)}.",
        [f"prefetch.{key}" for key in missing],
    )
