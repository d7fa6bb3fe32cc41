"""Orders that may be suggested: drafts of FHIR resources, each with its source.

Every template is validated as FHIR R4 once, when it is read, and every code in it must stand in a
value set. What a request gets is a copy with the patient filled in.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from mappings.fhir_validation import InvalidResourceError, validate_resource
from mappings.knowledge_file import CANONICAL, KnowledgeError, check_schema, replace_base
from mappings.terminology.value_set import ValueSetIndex

FOLDER = Path(__file__).parents[1] / "order_templates"
PATIENT_ELEMENT = {"Task": "for"}  # every other resource calls it "subject"
# HL7's own code systems that every Condition needs; no value set of ours.
STATUS_SYSTEMS = "http://terminology.hl7.org/CodeSystem/condition-"
# A service or task ordered by a template says so, for some are in words alone: an EHR that keeps it
# tells us that the order is there already.
ORDER_URI = f"{CANONICAL}/order/"
FILES = {"en-GB": "uk.toml", "en-US": "us.toml"}
COMMON = "common.toml"  # the orders that every country words and codes alike


@dataclass(frozen=True, slots=True)
class OrderTemplate:
    """One order; `concept` is the value set it orders, to know a duplicate by."""

    id: str
    concept: str
    label: str
    description: str
    source: str
    locator: str
    confidence: str
    resource: Mapping[str, Any]
    body: bytes  # `resource` as JSON: decoding it is the fastest way to a new copy
    test: str  # what a label calls it that orders several: "creatine kinase"
    ug_per_day: float | None = None  # as the reader of a site's knowledge reads it; None: unknown


@dataclass(frozen=True, slots=True)
class OrderTemplates:
    """The orders of one locale."""

    locale: str
    leber: tuple[str, ...]  # what replaces cyanocobalamin in Leber's optic neuropathy
    by_id: Mapping[str, OrderTemplate]


def build_order_uri(concept: str, base: str) -> str:
    """The canonical URI by which an order of this concept is recognised."""
    return replace_base(f"{ORDER_URI}{concept}", base)


def find_order_concept(uri: str, index: ValueSetIndex) -> str | None:
    """The concept that `uri` says is ordered, under the site's base or the default one."""
    for base in (index.base, CANONICAL):
        name = uri.removeprefix(build_order_uri("", base))
        if name != uri and name in index.sets:
            return name
    return None


def draft_order(template: OrderTemplate, patient: str, encounter: str | None) -> dict[str, Any]:
    """A new draft order for `patient` ("Patient/1"), in `encounter` ("Encounter/1") if any."""
    resource: dict[str, Any] = orjson.loads(template.body)
    resource[PATIENT_ELEMENT.get(resource["resourceType"], "subject")] = {"reference": patient}
    if encounter is not None:
        resource["encounter"] = {"reference": encounter}
    return resource


@cache
def _read_document(file: str) -> Mapping[str, Any]:
    path = FOLDER / file
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as fault:
        raise KnowledgeError(path.name, "file", str(fault)) from fault
    check_schema(document, "order_templates", file)
    locale = next((name for name, of_locale in FILES.items() if of_locale == file), None)
    if document.get("locale") != locale:
        raise KnowledgeError(file, "locale", f"is not {locale}")
    return document


def _list_entries(locale: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each template of the locale with its file, those of every country first."""
    for file in (COMMON, FILES[locale]):
        for entry in _read_document(file)["template"]:
            yield file, entry


def list_template_ids(locale: str) -> frozenset[str]:
    """The ids of the locale's templates."""
    return frozenset(entry["id"] for _file, entry in _list_entries(locale))


def read_order_templates(locale: str, index: ValueSetIndex) -> OrderTemplates:
    """The locale's templates, each validated.

    Raises KnowledgeError for one that is no valid R4 resource or that has a code which is in no
    value set.
    """
    templates: dict[str, OrderTemplate] = {}
    for file, entry in _list_entries(locale):
        if entry["id"] in templates:
            raise KnowledgeError(file, entry["id"], "is there twice")
        templates[entry["id"]] = _read_template(entry, file, index)
    leber = tuple(_read_document(FILES[locale])["leber"])
    for name in leber:
        if name not in templates:
            raise KnowledgeError(FILES[locale], name, "no such template")
    return OrderTemplates(locale, leber, templates)


def _read_template(entry: Mapping[str, Any], file: str, index: ValueSetIndex) -> OrderTemplate:
    try:
        resource = json.loads(replace_base(entry["resource"], index.base))
    except json.JSONDecodeError as fault:
        raise KnowledgeError(file, entry["id"], f"resource is not JSON: {fault}") from fault
    for system, code in _find_codes(resource):
        if not system.startswith(STATUS_SYSTEMS) and not index.look_up(system, code):
            raise KnowledgeError(file, entry["id"], f"{system}|{code} is in no value set")
    if entry["concept"] not in index.sets:
        raise KnowledgeError(file, entry["id"], f"no value set {entry['concept']}")
    match resource["resourceType"]:
        case "ServiceRequest":
            resource["instantiatesUri"] = [build_order_uri(entry["concept"], index.base)]
        case "Task":
            resource["instantiatesUri"] = build_order_uri(entry["concept"], index.base)
    subject = PATIENT_ELEMENT.get(resource["resourceType"], "subject")
    try:
        validate_resource({**resource, subject: {"reference": "Patient/1"}})
    except InvalidResourceError as error:
        raise KnowledgeError(file, entry["id"], str(error)) from error
    test = entry.get("test", entry["label"])
    made = {"resource": resource, "body": orjson.dumps(resource), "test": test}
    return OrderTemplate(**{**entry, **made})


def _find_codes(node: object) -> Iterator[tuple[str, str]]:
    match node:
        case {"system": str(system), "code": str(code)} if "unitsofmeasure" not in system:
            yield system, code
        case dict():
            for value in node.values():
                yield from _find_codes(value)
        case list():
            for value in node:
                yield from _find_codes(value)
