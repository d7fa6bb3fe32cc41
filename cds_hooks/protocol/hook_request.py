"""A call of a CDS service: bytes to a HookRequest, and what is wrong by path, never by value."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fastjsonschema
from jsonschema import Draft202012Validator

from cds_hooks.protocol.errors import InvalidJsonError, InvalidRequestError
from cds_hooks.protocol.strict_json import UnreadableJsonError, parse_json

SCHEMA = Path(__file__).parent / "schemas" / "hook_request.schema.json"
_SCHEMA = json.loads(SCHEMA.read_text(encoding="utf-8"))
_VALIDATOR = Draft202012Validator(_SCHEMA)
# Says yes or no in a twentieth of the time; what is wrong is the other's to say.
_check_schema = fastjsonschema.compile(_SCHEMA, use_default=False, detailed_exceptions=False)
UUID = re.compile(r"(urn:uuid:)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
EPIC_REQUEST = "com.epic.cdshooks.request."
EPIC_CODE = re.compile(re.escape(EPIC_REQUEST) + r"[a-z0-9-]{1,40} [A-Za-z0-9.-]{1,12}")


@dataclass(frozen=True, slots=True)
class Hook:
    """A hook as its definition has it. A new one is a row of HOOKS, and nothing else here."""

    name: str
    version: str  # of the published definition
    context: tuple[str, ...] = ()  # fields that a call must have, besides the patient
    tokens: frozenset[str] = frozenset({"patientId", "userId", "encounterId"})  # of prefetch
    is_about_orders: bool = False  # of the session, not signed yet

    @property
    def has_selections(self) -> bool:
        """Whether a call is about some of the orders: those that are being chosen."""
        return "selections" in self.context


# https://cds-hooks.hl7.org/hooks/ . The user, whom they require too, is asked for by no rule here.
PATIENT_VIEW = Hook("patient-view", "1.0")
ORDER_SELECT = Hook("order-select", "1.0", ("selections", "draftOrders"), is_about_orders=True)
ORDER_SIGN = Hook("order-sign", "1.0", ("draftOrders",), is_about_orders=True)
HOOKS: Mapping[str, Hook] = {hook.name: hook for hook in (PATIENT_VIEW, ORDER_SELECT, ORDER_SIGN)}


@dataclass(frozen=True, slots=True)
class FhirAuthorization:
    """Access to the client's FHIR server for the length of one call. Never logged or stored."""

    access_token: str = field(repr=False)
    scope: str = ""
    expires_in: float | None = None
    patient: str | None = None  # whom scopes that begin with "patient/" are about


@dataclass(frozen=True, slots=True)
class HookRequest:
    """One call, its envelope checked; FHIR inside it is read tolerantly elsewhere."""

    hook: str
    hook_instance: str
    context: Mapping[str, Any]
    prefetch: Mapping[str, Any]
    fhir_server: str | None = None
    authorization: FhirAuthorization | None = None
    extension: Mapping[str, Any] = field(default_factory=dict)

    @property
    def epic(self) -> dict[str, str]:
        """What Epic says of the call in its extensions, such as which action triggered it.

        Codes alone: whatever else may stand there is not for the log.
        """
        return {
            name.removeprefix(EPIC_REQUEST): str(value)
            for name, value in self.extension.items()
            if name.startswith(EPIC_REQUEST) and EPIC_CODE.fullmatch(f"{name} {value}")
        }

    @property
    def patient_id(self) -> str:
        return str(self.context["patientId"])

    @property
    def encounter_id(self) -> str | None:
        encounter = self.context.get("encounterId")
        return encounter if isinstance(encounter, str) and encounter else None

    @property
    def selections(self) -> tuple[str, ...]:
        """The selected drafts as sent: a list or one alone, of texts or of References."""
        selections = self.context.get("selections", ())
        return tuple(
            _read_references(selections if isinstance(selections, list | tuple) else [selections])
        )

    @property
    def draft_orders(self) -> tuple[dict[str, Any], ...]:
        """The orders of the session; entries that hold no resource are passed over.

        One without an id is known by the end of its entry's fullUrl.
        """
        return tuple(
            resource if "id" in resource or url is None else {**resource, "id": extract_id(url)}
            for url, resource in read_entries(self.context.get("draftOrders"))
        )

    def find_selected(self) -> frozenset[str] | None:
        """References ("MedicationRequest/1") of the drafts that the call is about.

        None: all of them, because the hook has no selections, or because none of those sent names
        a draft, which is a fault of the client that must not silence anybody.
        """
        if not HOOKS[self.hook].has_selections:
            return None
        selections = {_simplify_reference(text) for text in self.selections}
        if not selections:
            return frozenset()
        drafts = set(map(build_reference, self.draft_orders))
        selected = {draft for draft in drafts if {draft, draft.partition("/")[2]} & selections}
        return frozenset(selected) or None


def build_reference(resource: Mapping[str, Any]) -> str:
    """ "MedicationRequest/1"; "MedicationRequest/?" of one without an id."""
    return f"{resource['resourceType']}/{resource.get('id', '?')}"


def _read_references(selections: Iterable[object]) -> Iterator[str]:
    for selection in selections:
        match selection:
            case str(text) | {"reference": str(text)} if text:
                yield text


def _simplify_reference(text: str) -> str:
    """ "MedicationRequest/1" of a relative, absolute or versioned one; the id alone of a URN."""
    text = text.partition("/_history/")[0].rstrip("/")
    if text.startswith("urn:"):
        return extract_id(text)
    return "/".join(text.split("/")[-2:])


def extract_id(url: str) -> str:
    """The id at the end of a URL or a URN."""
    return url.rpartition(":")[2].rpartition("/")[2]


def read_entries(bundle: object) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """fullUrl, where there is one, and resource of each entry that holds a resource."""
    entries = bundle.get("entry") if isinstance(bundle, dict) else None
    for entry in entries if isinstance(entries, list) else [entries]:
        match entry:
            case {"resource": {"resourceType": str()} as resource}:
                url = entry.get("fullUrl") if isinstance(entry, dict) else None
                yield (url if isinstance(url, str) and url else None), resource


def read_resources(bundle: object) -> Iterator[dict[str, Any]]:
    """The resources of a Bundle with or without a type, `entry` a list or an object."""
    for _url, resource in read_entries(bundle):
        yield resource


def read_json(body: bytes) -> Any:
    """The document in `body`. Raises NotJson."""
    try:
        return parse_json(body)
    except UnreadableJsonError as fault:
        raise InvalidJsonError(str(fault)) from None


def read_request(document: object, hook: str) -> HookRequest:
    """`document` as a call of `hook`. Raises NotACall with the path of what is wrong."""
    if not isinstance(document, dict):
        raise InvalidRequestError("must be an object", ["$"])
    members = {name: value for name, value in document.items() if value is not None}
    _validate(members)
    if members["hook"] != hook:
        raise InvalidRequestError(f"this service answers {hook}", ["hook"])
    context: Mapping[str, Any] = members["context"]
    for name in HOOKS[hook].context:
        if context.get(name) is None:
            raise InvalidRequestError(f"{hook} requires it", [f"context.{name}"])
    extension = members.get("extension")
    return HookRequest(
        hook=hook,
        hook_instance=members["hookInstance"],
        context=context,
        prefetch=members.get("prefetch", {}),
        fhir_server=members.get("fhirServer"),
        authorization=_read_authorization(members),
        extension=extension if isinstance(extension, dict) else {},
    )


def _validate(members: Mapping[str, Any]) -> None:
    context = members.get("context")
    if isinstance(context, dict) and None in context.values():
        plain = {name: value for name, value in context.items() if value is not None}
        members = {**members, "context": plain}
    try:
        _check_schema(members)
    except fastjsonschema.JsonSchemaValueException:
        _raise_error(members)


def _raise_error(members: Mapping[str, Any]) -> None:
    for error in _VALIDATOR.iter_errors(members):
        path = ".".join(str(part) for part in error.absolute_path)
        if error.validator == "required":
            missing = next(n for n in error.validator_value if n not in error.instance)
            path = f"{path}.{missing}" if path else missing
            raise InvalidRequestError("is required", [path])
        raise InvalidRequestError(
            f"does not meet '{error.validator}' of the request schema", [path or "$"]
        )


def _read_authorization(members: Mapping[str, Any]) -> FhirAuthorization | None:
    authorization = members.get("fhirAuthorization")
    if authorization is None:
        return None
    if "fhirServer" not in members:
        raise InvalidRequestError("is required with fhirAuthorization [cds-r-1]", ["fhirServer"])
    scope, expires_in = authorization.get("scope"), authorization.get("expires_in")
    patient = authorization.get("patient")
    return FhirAuthorization(
        access_token=authorization["access_token"],
        scope=scope if isinstance(scope, str) else "",
        expires_in=expires_in if isinstance(expires_in, int | float) else None,
        patient=extract_id(patient) if isinstance(patient, str) and patient else None,
    )
