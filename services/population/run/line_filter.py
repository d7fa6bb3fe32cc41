"""Which lines of an export are kept, and which patient each is about.

A line is kept unless it is certain that no rule reads it: that it is of a type that no reader
knows, or that none of its codes is in a value set.
"""

import re
from typing import Any, NamedTuple

import msgspec
import orjson

from cds_hooks.protocol.hook_request import entries_of
from mappings.terminology.value_set import ValueSetIndex
from services.chart.fhir_values import Resource, reference_tail, tail_of
from services.chart.medications import codings_of_drug
from services.chart.orders import MEDICATION_TYPES, ORDER_TYPES
from services.chart.reader import READERS

REFERRED = "Medication"  # resources of no patient, which those of patients refer to
OF_VISITS = frozenset({"Encounter"})
OF_A_DRUG = ("resourceType", "id", "code", "ingredient", "form")
ID = re.compile(r"[^\s\x00-\x1f\x7f/#|]{1,128}")
BEGINNING = "Patient/"


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


class _Head(msgspec.Struct):
    """What must be read of a resource before it is known whether the rest is."""

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


_head = msgspec.json.Decoder(_Head)


class Sorted(NamedTuple):
    """Where a line belongs."""

    kind: str  # the type of the resource
    patient: str | None  # id; None where it is about none
    keep: bool


class Complaint(NamedTuple):
    """Why a line is of no use."""

    reason: str


class Several(NamedTuple):
    """A line that holds more than one resource: a Bundle or a list."""

    resources: list[dict[str, Any]]


class Sieve:
    """Sorts the lines of an export.

    With `timeline`, visits are kept and every order is, since each is a moment at which the service
    would have been called. Without `dropping`, every line about a patient is kept: what is dropped
    must not change any assessment.
    """

    def __init__(
        self, index: ValueSetIndex, *, timeline: bool = False, dropping: bool = True
    ) -> None:
        self._index = index
        self._dropping = dropping
        self._known: dict[tuple[str | None, str | None], bool] = {}
        self._kinds = frozenset(READERS) | {"Device"} | (OF_VISITS if timeline else frozenset())
        self._always = frozenset(
            {"Patient", "Device", "QuestionnaireResponse", "AllergyIntolerance", "Task"}
            | {"FamilyMemberHistory"}
            | OF_VISITS
            | (ORDER_TYPES | MEDICATION_TYPES if timeline else frozenset())
        )

    def sort(self, line: bytes) -> Sorted | Complaint | Several:
        """Where `line`, JSON in UTF-8, belongs."""
        try:
            head = _head.decode(line)
        except msgspec.ValidationError:
            return self._sort_slowly(line)
        except (msgspec.DecodeError, RecursionError):
            return Complaint("not-json")
        kind = head.resourceType
        if kind == "Bundle":
            return self._sort_slowly(line)
        if kind == REFERRED:
            return Sorted(kind, None, keep=True)
        if kind not in self._kinds:
            return Sorted(kind, None, keep=False)
        if kind == "Patient":
            return _about(kind, head.id)
        about = head.subject or head.patient
        text = about.reference if about is not None else None
        if text is None:
            return self._sort_slowly(line)
        keep = kind in self._always or not self._dropping or self._reads(kind, head)
        # A line that no rule reads may be about whom it will.
        return _about(kind, _patient_of(text)) if keep else Sorted(kind, None, keep=False)

    def _reads(self, kind: str, head: _Head) -> bool:
        if kind in MEDICATION_TYPES:
            refers = head.medicationReference is not None or head.medication is not None
            return refers or self._in_sets(head.medicationCodeableConcept)
        if self._in_sets(head.code):
            return True
        if kind != "Observation":
            # A service may be named by what it instantiates, or by its items.
            return head.instantiatesUri is not None or head.item is not None
        if head.component is not None:
            for part in head.component:
                if self._in_sets(part.code) or self._in_sets(part.valueCodeableConcept):
                    return True
        return self._in_sets(head.valueCodeableConcept)

    def _in_sets(self, concept: _Concept | None) -> bool:
        if concept is None:
            return False
        if concept.coding is None:
            return concept.concept is not None or concept.code is not None
        known = self._known
        for coding in concept.coding:
            key = (coding.system, coding.code)
            found = known.get(key)
            if found is None:
                found = known[key] = self._is_known(*key)
            if found:
                return True
        return False

    def _is_known(self, system: str | None, code: str | None) -> bool:
        return system is not None and code is not None and bool(self._index.lookup(system, code))

    def drug(self, medication: Resource) -> dict[str, Any] | None:
        """What a request that refers to `medication` needs of it; None where no rule reads it."""
        if not isinstance(medication.get("id"), str):
            return None
        coded = codings_of_drug(medication)
        if self._dropping and not any(self._is_known(*coding) for coding in coded):
            return None
        return {key: medication[key] for key in OF_A_DRUG if key in medication}

    def _sort_slowly(self, line: bytes) -> Sorted | Complaint | Several:
        """A line in a shape that is not R4's; kept where it is about a patient."""
        try:
            document = orjson.loads(line)
        except orjson.JSONDecodeError:
            return Complaint("not-json")
        return self.sort_document(document)

    def sort_document(self, document: Any) -> Sorted | Complaint | Several:
        """Where a document that has been parsed belongs."""
        match document:
            case {"resourceType": "Bundle"}:
                return Several(resources_inside(document))
            case list() if all(isinstance(one, dict) for one in document) and document:
                return Several(document)
            case {"resourceType": str(kind)}:
                pass
            case _:
                return Complaint("not-a-resource")
        if kind == REFERRED:
            return Sorted(kind, None, keep=True)
        if kind not in self._kinds:
            return Sorted(kind, None, keep=False)
        if kind == "Patient":
            return _about(kind, document.get("id"))
        text = reference_tail(
            document["subject"]
            if "subject" in document
            else document.get("patient", document.get("for"))
        )
        return _about(kind, _patient_of(text) if text is not None else None)


def _about(kind: str, patient: object) -> Sorted | Complaint:
    if patient is None:
        # Devices lie on shelves, and are referred to as medicines are.
        return Sorted(kind, None, keep=True) if kind == "Device" else Complaint("no-patient")
    if not isinstance(patient, str) or not ID.fullmatch(patient):
        return Complaint("bad-id")
    return Sorted(kind, patient, keep=True)


def _patient_of(text: str) -> str | None:
    """The id in a reference to a Patient, relative, absolute or versioned."""
    if text.startswith(BEGINNING) and text.count("/") == 1:
        return text[len(BEGINNING) :]
    tail = tail_of(text)
    return tail[len(BEGINNING) :] if tail.startswith(BEGINNING) else None


def resources_inside(bundle: Resource) -> list[dict[str, Any]]:
    """The resources of a Bundle and of Bundles inside it.

    What they call each other by (`urn:uuid:...`) is replaced by type and id, for outside the
    Bundle it means nothing. A resource without an id is given the last part of its fullUrl.
    """
    found: list[dict[str, Any]] = []
    _gather(bundle, found)
    return found


def _gather(bundle: Resource, found: list[dict[str, Any]]) -> None:

    own: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    for url, resource in entries_of(bundle):
        named = resource
        if url is not None and "id" not in resource:
            named = {**resource, "id": url.rpartition("/")[2].rpartition(":")[2]}
        if url is not None and url.startswith("urn:"):
            names[url] = f"{named['resourceType']}/{named.get('id')}"
        own.append(named)
    for resource in own:
        resolved = _renamed(resource, names) if names else resource
        if resolved["resourceType"] == "Bundle":
            _gather(resolved, found)
        else:
            found.append(resolved)


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        renamed = {key: _renamed(inner, names) for key, inner in value.items()}
        reference = renamed.get("reference")
        if isinstance(reference, str) and reference in names:
            renamed["reference"] = names[reference]
        return renamed
    if isinstance(value, list):
        return [_renamed(inner, names) for inner in value]
    return value
