"""What is asked of the page: the patient, by what rules, on which day, at which hook."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

import orjson
from werkzeug.datastructures import MultiDict

from cds_hooks.protocol.dialects import DIALECTS
from cds_hooks.protocol.errors import CallError
from cds_hooks.protocol.hook_request import HOOKS, ORDER_SIGN, PATIENT_VIEW, read_json
from cds_hooks.protocol.strict_json import MAX_DEPTH
from mappings.actions.order_template import FILES, list_template_ids
from mappings.publications.guideline import Guideline
from services.chart.orders import MEDICATION_TYPES, ORDER_TYPES
from services.hooks.documents import UnusableDocumentError
from services.hooks.offered_hooks import OFFERED_HOOKS
from services.hooks.overrides import ATTENTION, VariantOptions
from services.knowledge.language import list_languages
from services.knowledge.site import SiteKnowledge
from services.web.what_if.fhir_builder import build_request, replace_draft
from services.web.what_if.form import FormReader, PatientForm

SAMPLE_NAMES = tuple(
    sorted(
        file.name.removesuffix(".json") for file in (files("services.hooks") / "samples").iterdir()
    )
)
FIRST_SAMPLE = "neuropathy"
MIN_YEAR, MAX_YEAR = 1900, 2200  # years of a call: everything is compared with days before it
RESERVED_DEPTH = 12  # levels that a call and a case put around what is pasted
# What a query may hold besides the patient and the choices.
VIEW_PARAMETERS = ("sweep", "from", "to", "awkward")


@cache
def read_sample_bytes(name: str) -> bytes:
    return (files("services.hooks") / "samples" / f"{name}.json").read_bytes()


def read_sample(name: str) -> tuple[dict[str, Any], date]:
    """A bundled call, and its day."""
    document: dict[str, Any] = orjson.loads(read_sample_bytes(name))
    return document, date.fromisoformat(document.pop("sampleDay"))


@dataclass(frozen=True, slots=True)
class OfferedOptions:
    """What can be chosen, each with its title."""

    guideline: Mapping[str, str]
    definition: Mapping[str, str]
    locale: Mapping[str, str]
    language: Mapping[str, str]
    dialect: Mapping[str, str]
    attention: Mapping[str, str]
    orders_of: Mapping[str, Mapping[str, str]]  # by guideline and locale: whose orders it treats by

    @classmethod
    def from_knowledge(cls, knowledge: SiteKnowledge) -> "OfferedOptions":
        titles = ("everything there is to say", "what this site lets interrupt")
        guidelines = [g for g in knowledge.read_guidelines().values() if not g.laboratory]
        return cls(
            guideline={g.id: f"{g.id} ({g.publisher})" for g in guidelines},
            definition={id_: id_ for id_ in knowledge.read_definitions()},
            locale={code: code for code in FILES},
            language={code: code for code in list_languages()},
            dialect={name: name for name in DIALECTS},
            attention=dict(zip(ATTENTION, titles, strict=True)),
            orders_of={g.id: {code: _choose_locale(g, code) for code in FILES} for g in guidelines},
        )


def _choose_locale(guideline: Guideline, locale: str) -> str:
    """`locale`, where it has every order that the guideline treats with; else the guideline's."""
    treats = {name for treatment in guideline.treatments.values() for name in treatment.templates}
    return locale if treats <= list_template_ids(locale) else guideline.locale


@dataclass(frozen=True, slots=True)
class WhatIfQuery:
    """One query, read. `sample`: the name of the bundled patient that is shown; else empty."""

    entered: PatientForm
    choices: VariantOptions
    hook: str
    day: date
    says_day: bool  # an address has to say it
    sample: str
    faults: tuple[str, ...]
    aside: Mapping[str, str]  # sweep, from, to, awkward

    def as_query(self, **others: str) -> str:
        """What asks the same again in an address, with other values for some of it."""
        return urlencode(self.as_pairs(**others))

    def as_pairs(self, **others: str) -> list[tuple[str, str]]:
        """The parameters of `query`; those without a value are left out."""
        patient = [("sample", self.sample)] if self.sample else self.entered.as_query()
        plain = [*patient, *self.choices.as_json().items(), ("hook", self.hook)]
        if self.says_day:
            plain.append(("day", self.day.isoformat()))
        aside = {**self.aside, **others}
        return [*plain, *((name, value) for name, value in aside.items() if value)]

    def build_document(self, knowledge: SiteKnowledge) -> dict[str, Any]:
        """The call about the sample or the entered patient."""
        if self.sample:
            return read_sample(self.sample)[0]
        return build_request(self.entered, knowledge, self.day, self.hook)

    def find_number(self, name: str) -> float | None:
        try:
            value = float(self.aside.get(name, ""))
        except ValueError:
            return None
        return value if 0 <= value < 1e6 else None


def read_query(
    parameters: "MultiDict[str, str]",
    knowledge: SiteKnowledge,
    site: VariantOptions,
    options: OfferedOptions,
    today: date,
    *,
    is_pasted: bool = False,
) -> WhatIfQuery:
    """The query of the page; without a patient in it, the first sample.

    A sample is shown at its own hook and day, what is pasted at those that are asked for.
    """
    faults: list[str] = []
    choices = site
    for name in site.as_json():
        value = parameters.get(name, "")
        if value in getattr(options, name):
            choices = replace(choices, **{name: value})
        elif value:
            faults.append(f"{name}: none of those that there are")
    choices = _choose_fitting_orders(choices, parameters.get("locale", ""), options, faults)
    hook = parameters.get("hook", "")
    if hook and hook not in OFFERED_HOOKS:
        faults.append("hook: none of those that there are")
        hook = ""
    name = parameters.get("sample", "")
    is_patient = bool({"age", "born", "sex"} & set(parameters))
    if name not in SAMPLE_NAMES:
        name = "" if is_patient else FIRST_SAMPLE
    day = _read_day(parameters.get("day", ""), today, faults)
    says_day = day != today
    if name and not is_pasted:
        document, day = read_sample(name)
        hook, says_day = str(document["hook"]), False
    form = FormReader(parameters, knowledge, day)
    patient = form.read_form()
    faults += form.list_unknown({*site.as_json(), *VIEW_PARAMETERS, "hook", "sample", "day"})
    return WhatIfQuery(
        entered=patient,
        choices=choices,
        hook=hook or (ORDER_SIGN if patient.draft else PATIENT_VIEW).name,
        day=day,
        says_day=says_day,
        sample=name,
        faults=(*faults, *form.faults),
        aside={
            key: parameters[key].strip()
            for key in VIEW_PARAMETERS
            if parameters.get(key, "").strip()
        },
    )


def _choose_fitting_orders(
    choices: VariantOptions, locale: str, options: OfferedOptions, faults: list[str]
) -> VariantOptions:
    """The choices with orders that the guideline can treat with; `locale`: what was asked for."""
    fitting = options.orders_of.get(choices.guideline, {}).get(choices.locale, choices.locale)
    if fitting != choices.locale and locale == choices.locale:
        faults.append(
            f"locale: {locale} lacks orders that {choices.guideline} treats with; "
            f"those of {fitting} are shown"
        )
    return replace(choices, locale=fitting)


def _read_day(text: str, today: date, faults: list[str]) -> date:
    if not text:
        return today
    try:
        day = date.fromisoformat(text)
    except ValueError:
        faults.append(f"day: no day such as {today.isoformat()}")
        return today
    if not MIN_YEAR <= day.year <= MAX_YEAR:
        faults.append("day: too far away")
        return today
    return day


def read_pasted(text: str, query: WhatIfQuery, knowledge: SiteKnowledge) -> Any:
    """The Bundle or call in `text`; an order alone becomes the draft of the entered patient.

    Raises UnusableDocumentError with the place.
    """
    try:
        document = read_json(text.encode("utf-8", "surrogatepass"))
    except CallError as refusal:
        raise UnusableDocumentError(refusal.diagnostics or refusal.text) from None
    if not _has_room(document):
        raise UnusableDocumentError(f"nested more than {MAX_DEPTH - RESERVED_DEPTH} levels deep")
    match document:
        case {"hook": _} | {"resourceType": "Bundle"}:
            return document
        case {"resourceType": str(kind)} if kind in MEDICATION_TYPES | ORDER_TYPES:
            hook = query.hook if HOOKS[query.hook].is_about_orders else ORDER_SIGN.name
            return replace_draft(query.build_document(knowledge), document, hook)
        case {"resourceType": _}:
            raise UnusableDocumentError("resourceType: neither a Bundle nor an order")
    raise UnusableDocumentError("$: neither a FHIR Bundle, a CDS Hooks request nor an order")


def _has_room(document: Any) -> bool:
    """Whether it can still be written with `ROOM` levels around it."""
    for _ in range(RESERVED_DEPTH):
        document = [document]
    try:
        orjson.dumps(document)
    except orjson.JSONEncodeError:
        return False
    return True
