"""Filter the lines of an export: which are kept, and which patient each is about.

A line is kept unless it is certain that no rule reads it: that it is of a type that no reader
knows, or that none of its codes is in a value set.
"""

import re
from typing import Any, NamedTuple

import msgspec
import orjson

from cds_hooks.protocol.hook_request import read_entries
from mappings.terminology.value_set import ValueSetIndex
from services.chart.fhir_values import Resource, make_relative_reference, read_relative_reference
from services.chart.medications import list_medication_codings
from services.chart.orders import MEDICATION_TYPES, ORDER_TYPES
from services.chart.reader import READERS

SHARED_TYPE = "Medication"  # resources of no patient, which those of patients refer to
VISIT_TYPES = frozenset({"Encounter"})
MEDICATION_MEMBERS = ("resourceType", "id", "code", "ingredient", "form")
PATIENT_ID = re.compile(r"[^\s\x00-\x1f\x7f/#|]{1,128}")
PATIENT_PREFIX = "Patient/"


class _Reference(msgspec.Struct):
    reference: str | None = None


class _Coding(msgspec.Struct):
    system: str | None = None
    code: str | None = None


class _Concept(msgspec.Struct):
    coding: list[_Coding] | None = None
    concept: object = None  # R5 has the codings one level deeper
    code: object = None  # a Coding where R4 has a CodeableConcept


class _Component(msgspec.Struct):
    code: _Concept | None = None
    valueCodeableConcept: _Concept | None = None  # noqa: N815  # as FHIR has it


class _ResourceHead(msgspec.Struct):
    """The members that decide whether a resource is kept."""

    resourceType: str  # noqa: N815
    id: str | None = None
    subject: _Reference | None = None
    patient: _Reference | None = None
    code: _Concept | None = None
    component: list[_Component] | None = None
    valueCodeableConcept: _Concept | None = None  # noqa: N815
    medicationCodeableConcept: _Concept | None = None  # noqa: N815
    medicationReference: object = None  # noqa: N815
    medication: object = None
    instantiatesUri: object = None  # noqa: N815
    item: object = None


_decoder = msgspec.json.Decoder(_ResourceHead)


class FilteredLine(NamedTuple):
    """Where a line belongs."""

    kind: str  # the type of the resource
    patient: str | None  # id; None where it is about none
    keep: bool


class RejectedLine(NamedTuple):
    """A line that cannot be used, and why."""

    reason: str


class ResourceList(NamedTuple):
    """A line that holds more than one resource: a Bundle or a list."""

    resources: list[dict[str, Any]]


class LineFilter:
    """Classifies the lines of an export.

    With `for_replay`, visits and all orders are kept: at each the service would have been called.
    Without `drop_unread`, every line about a patient is kept: what is dropped must not change any
    assessment.
    """

    def __init__(
        self, index: ValueSetIndex, *, for_replay: bool = False, drop_unread: bool = True
    ) -> None:
        self._index = index
        self._drops_unread = drop_unread
        self._known_codes: dict[tuple[str | None, str | None], bool] = {}
        self._types = frozenset(READERS) | {"Device"} | (VISIT_TYPES if for_replay else frozenset())
        self._unfiltered_types = frozenset(
            {"Patient", "Device", "QuestionnaireResponse", "AllergyIntolerance", "Task"}
            | {"FamilyMemberHistory"}
            | VISIT_TYPES
            | (ORDER_TYPES | MEDICATION_TYPES if for_replay else frozenset())
        )

    def classify(self, line: bytes) -> FilteredLine | RejectedLine | ResourceList:
        """Classify `line`, JSON in UTF-8."""
        try:
            head = _decoder.decode(line)
        except msgspec.ValidationError:
            return self._classify_slowly(line)
        except (msgspec.DecodeError, RecursionError):
            return RejectedLine("not-json")
        kind = head.resourceType
        if kind == "Bundle":
            return self._classify_slowly(line)
        if kind == SHARED_TYPE:
            return FilteredLine(kind, None, keep=True)
        if kind not in self._types:
            return FilteredLine(kind, None, keep=False)
        if kind == "Patient":
            return _place_by_patient(kind, head.id)
        about = head.subject or head.patient
        text = about.reference if about is not None else None
        if text is None:
            return self._classify_slowly(line)
        keep = kind in self._unfiltered_types or not self._drops_unread or self._is_read(kind, head)
        # A line that no rule reads may be about whom it will.
        return (
            _place_by_patient(kind, _find_patient_id(text))
            if keep
            else FilteredLine(kind, None, keep=False)
        )

    def _is_read(self, kind: str, head: _ResourceHead) -> bool:
        if kind in MEDICATION_TYPES:
            refers = head.medicationReference is not None or head.medication is not None
            return refers or self._has_known_code(head.medicationCodeableConcept)
        if self._has_known_code(head.code):
            return True
        if kind != "Observation":
            # A service may be named by what it instantiates, or by its items.
            return head.instantiatesUri is not None or head.item is not None
        if head.component is not None:
            for part in head.component:
                if self._has_known_code(part.code) or self._has_known_code(
                    part.valueCodeableConcept
                ):
                    return True
        return self._has_known_code(head.valueCodeableConcept)

    def _has_known_code(self, concept: _Concept | None) -> bool:
        if concept is None:
            return False
        if concept.coding is None:
            return concept.concept is not None or concept.code is not None
        known_codes = self._known_codes
        for coding in concept.coding:
            key = (coding.system, coding.code)
            is_known = known_codes.get(key)
            if is_known is None:
                is_known = known_codes[key] = self._is_known(*key)
            if is_known:
                return True
        return False

    def _is_known(self, system: str | None, code: str | None) -> bool:
        return system is not None and code is not None and bool(self._index.look_up(system, code))

    def reduce_medication(self, medication: Resource) -> dict[str, Any] | None:
        """Keep the members of `medication` that requests refer to; None where no rule reads it."""
        if not isinstance(medication.get("id"), str):
            return None
        drug_codings = list_medication_codings(medication)
        if self._drops_unread and not any(self._is_known(*coding) for coding in drug_codings):
            return None
        return {key: medication[key] for key in MEDICATION_MEMBERS if key in medication}

    def _classify_slowly(self, line: bytes) -> FilteredLine | RejectedLine | ResourceList:
        """Classify a line that is not in the shape of R4; kept where it is about a patient."""
        try:
            document = orjson.loads(line)
        except orjson.JSONDecodeError:
            return RejectedLine("not-json")
        return self.classify_document(document)

    def classify_document(self, document: Any) -> FilteredLine | RejectedLine | ResourceList:
        """Classify a document that has been parsed."""
        match document:
            case {"resourceType": "Bundle"}:
                return ResourceList(unpack_bundle(document))
            case list() if all(isinstance(item, dict) for item in document) and document:
                return ResourceList(document)
            case {"resourceType": str(kind)}:
                pass
            case _:
                return RejectedLine("not-a-resource")
        if kind == SHARED_TYPE:
            return FilteredLine(kind, None, keep=True)
        if kind not in self._types:
            return FilteredLine(kind, None, keep=False)
        if kind == "Patient":
            return _place_by_patient(kind, document.get("id"))
        text = read_relative_reference(
            document["subject"]
            if "subject" in document
            else document.get("patient", document.get("for"))
        )
        return _place_by_patient(kind, _find_patient_id(text) if text is not None else None)


def _place_by_patient(kind: str, patient: object) -> FilteredLine | RejectedLine:
    if patient is None:
        # Devices lie on shelves, and are referred to as medicines are.
        return (
            FilteredLine(kind, None, keep=True) if kind == "Device" else RejectedLine("no-patient")
        )
    if not isinstance(patient, str) or not PATIENT_ID.fullmatch(patient):
        return RejectedLine("bad-id")
    return FilteredLine(kind, patient, keep=True)


def _find_patient_id(text: str) -> str | None:
    """The id in a reference to a Patient, relative, absolute or versioned."""
    if text.startswith(PATIENT_PREFIX) and text.count("/") == 1:
        return text[len(PATIENT_PREFIX) :]
    tail = make_relative_reference(text)
    return tail[len(PATIENT_PREFIX) :] if tail.startswith(PATIENT_PREFIX) else None


def unpack_bundle(bundle: Resource) -> list[dict[str, Any]]:
    """Unpack the resources of a Bundle and of Bundles inside it.

    What they call each other by (`urn:uuid:...`) is replaced by type and id, for outside the
    Bundle it means nothing. A resource without an id is given the last part of its fullUrl.
    """
    resources: list[dict[str, Any]] = []
    _collect_resources(bundle, resources)
    return resources


def _collect_resources(bundle: Resource, resources: list[dict[str, Any]]) -> None:

    own: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    for url, resource in read_entries(bundle):
        with_id = resource
        if url is not None and "id" not in resource:
            with_id = {**resource, "id": url.rpartition("/")[2].rpartition(":")[2]}
        if url is not None and url.startswith("urn:"):
            names[url] = f"{with_id['resourceType']}/{with_id.get('id')}"
        own.append(with_id)
    for resource in own:
        resolved = _replace_references(resource, names) if names else resource
        if resolved["resourceType"] == "Bundle":
            _collect_resources(resolved, resources)
        else:
            resources.append(resolved)


def _replace_references(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        renamed = {key: _replace_references(inner, names) for key, inner in value.items()}
        reference = renamed.get("reference")
        if isinstance(reference, str) and reference in names:
            renamed["reference"] = names[reference]
        return renamed
    if isinstance(value, list):
        return [_replace_references(inner, names) for inner in value]
    return value
