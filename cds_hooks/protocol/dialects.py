"""What one EHR needs said differently. One place: everything else writes the standard's cards."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from markdown_it import MarkdownIt

from cds_hooks.protocol.cards import Action, Card, Coding, Source, Suggestion, shorten
from cds_hooks.protocol.hook_request import PATIENT_VIEW

EPIC_CONTENT_TYPE = "com.epic.cdshooks.card.detail.content-type"
# Resources that Epic creates from a suggestion, and the code systems by which it finds them where
# the site has mapped nothing.
EPIC_ORDER_SYSTEMS = {
    "MedicationRequest": (
        "http://www.nlm.nih.gov/research/umls/rxnorm",
        "http://hl7.org/fhir/sid/ndc",
    ),
    "ServiceRequest": (),
    "ProcedureRequest": (),
    "Condition": ("http://hl7.org/fhir/sid/icd-10-cm", "urn:oid:2.16.840.1.113883.6.90"),
}
CONCEPT_MEMBERS = {"MedicationRequest": "medicationCodeableConcept"}  # all others call it "code"
MAX_LABEL_LENGTH = 160


@dataclass(frozen=True, slots=True)
class Dialect:
    """CDS Hooks as published, for one site; what an EHR needs otherwise is a class below.

    A new one is a class with a name of its own, in DIALECTS.
    """

    name: ClassVar[str] = "standard"  # in configuration, cases and choices
    needs_catalogue: ClassVar[bool] = False  # orders are known by the site's own codes alone
    detail: str = "markdown"  # "markdown", "html" or "plain"; Epic only
    links: tuple[str, ...] = ()  # beginnings of URLs that the EHR lets through; Oracle only
    catalogue: Mapping[str, tuple[Coding, ...]] = field(default_factory=dict)  # by order template

    def supports_hook(self, hook: str) -> bool:  # noqa: ARG002  # of some EHRs
        """Whether the EHR asks at this hook."""
        return True

    def adapt_card(self, card: Card) -> tuple[Card, tuple[str, ...]]:
        """The card as this EHR can show it, and what had to be left out and why.

        Suggestions keep their uuid; where one is split, its later parts get new ones.
        """
        if self.catalogue:
            card = replace(card, suggestions=tuple(map(self._use_site_codes, card.suggestions)))
        return self._adapt_card(card)

    def _adapt_card(self, card: Card) -> tuple[Card, tuple[str, ...]]:
        """The same of a card in the site's codes: what dialects differ in."""
        return card, ()

    def _use_site_codes(self, suggestion: Suggestion) -> Suggestion:
        return replace(suggestion, actions=tuple(map(self._add_site_codes, suggestion.actions)))

    def _add_site_codes(self, action: Action) -> Action:
        """The site's own codes before the standard ones."""
        codings = self.catalogue.get(action.template or "", ())
        if action.resource is None or not codings:
            return action
        key = CONCEPT_MEMBERS.get(str(action.resource["resourceType"]), "code")
        concept = action.resource.get(key, {})
        own = [_build_coding(coding) for coding in codings]
        concept = {**concept, "coding": [*own, *concept.get("coding", ())]}
        return replace(action, resource={**action.resource, key: concept})


class Epic(Dialect):
    """One action for each suggestion, and only orders that its preference lists know."""

    __slots__ = ()
    name = "epic"
    needs_catalogue = True

    def _adapt_card(self, card: Card) -> tuple[Card, tuple[str, ...]]:
        suggestions: list[Suggestion] = []
        left_out: list[str] = []
        for suggestion in card.suggestions:
            parts = [part for action in suggestion.actions for part in _split_update(action)]
            for action in parts:
                reason = self._find_omission_reason(action)
                if reason is not None:
                    left_out.append(f"{reason}:{action.template}")
            supported = [action for action in parts if self._find_omission_reason(action) is None]
            if len(supported) < len(parts) and any(action.type == "delete" for action in parts):
                continue  # half of an exchange would only take away
            suggestions += _split_suggestion(suggestion, supported)
        detail, extension = self._convert_detail(card.detail)
        changed = replace(
            card,
            detail=detail,
            extension={**card.extension, **extension},
            suggestions=tuple(suggestions),
            selection_behavior="any" if suggestions else None,
            source=_make_epic_source(card),
        )
        return changed, tuple(left_out)

    def _find_omission_reason(self, action: Action) -> str | None:
        """Why Epic could not carry it out; None where it can."""
        if action.resource is None:
            return None
        kind = str(action.resource["resourceType"])
        if kind not in EPIC_ORDER_SYSTEMS:
            return "unsupported"
        if action.template in self.catalogue:
            return None
        concept = action.resource.get(CONCEPT_MEMBERS.get(kind, "code"), {})
        systems = {coding.get("system") for coding in concept.get("coding", ())}
        return None if systems & set(EPIC_ORDER_SYSTEMS[kind]) else "unmapped"

    def _convert_detail(self, detail: str | None) -> tuple[str | None, Mapping[str, Any]]:
        if detail is None or self.detail == "markdown":
            return detail, {}
        if self.detail == "html":
            return _MARKDOWN.render(detail), {EPIC_CONTENT_TYPE: "text/html"}
        return render_plain_text(detail), {EPIC_CONTENT_TYPE: "text/plain"}


class Oracle(Dialect):
    """Asks when a chart is opened and at no other moment; removes links not on the site's list."""

    __slots__ = ()
    name = "oracle"

    def supports_hook(self, hook: str) -> bool:
        return hook == PATIENT_VIEW.name

    def _adapt_card(self, card: Card) -> tuple[Card, tuple[str, ...]]:
        links = (link for link in card.links if link.url.startswith(self.links))
        return replace(card, links=tuple(replace(link, app_context=None) for link in links)), ()


class Sandbox(Dialect):
    """The CDS Hooks Sandbox, which takes the first drug that it finds, and nothing else."""

    __slots__ = ()
    name = "sandbox"

    def _adapt_card(self, card: Card) -> tuple[Card, tuple[str, ...]]:
        return replace(card, suggestions=tuple(map(_put_drug_first, card.suggestions))), ()


DIALECTS: Mapping[str, type[Dialect]] = {
    dialect.name: dialect for dialect in (Dialect, Epic, Oracle, Sandbox)
}

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


def render_plain_text(markdown: str) -> str:
    """The words of `markdown`, a line for each block, the cells of a row parted by commas."""
    lines: list[str] = []
    cells: list[str] = []
    for token in _MARKDOWN.parse(markdown):
        match token.type:
            case "inline":
                text = "".join(
                    "\n" if child.type in ("softbreak", "hardbreak") else child.content
                    for child in token.children or ()
                )
                cells.append(text)
            case "tr_close":
                lines.append(", ".join(cell for cell in cells if cell))
                cells = []
            case "paragraph_close" | "heading_close":
                lines += cells
                cells = []
    return "\n".join(line for line in lines if line)


def _build_coding(coding: Coding) -> dict[str, str]:
    members = {"system": coding.system, "code": coding.code, "display": coding.display or ""}
    return {name: value for name, value in members.items() if value}


def _split_update(action: Action) -> Iterator[Action]:
    """Epic changes no draft: the old one goes, the new one comes."""
    if action.type != "update" or action.resource is None:
        yield action
        return
    kind, id_ = action.resource["resourceType"], action.resource.get("id")
    new = {name: value for name, value in action.resource.items() if name != "id"}
    yield Action("delete", "Remove the order as drafted", resource_id=f"{kind}/{id_}")
    yield Action("create", action.description, new, template=action.template)


def _split_suggestion(suggestion: Suggestion, actions: list[Action]) -> Iterator[Suggestion]:
    """One suggestion for each action. Epic shows the action's description, and no label."""
    alone = len(actions) == 1
    for place, action in enumerate(actions):
        description = f"{suggestion.label}: {action.description}" if alone else action.description
        described = (replace(action, description=description),)
        label = suggestion.label if alone else shorten(action.description, MAX_LABEL_LENGTH)
        if place == 0:
            yield replace(suggestion, label=label, actions=described)
        else:
            yield Suggestion(label, described, suggestion.is_recommended)


def _make_epic_source(card: Card) -> Source:
    """Epic ties a user's override to the topic: letters and digits alone, at most a hundred."""
    topic = card.source.topic
    if topic is None:
        return card.source
    code = re.sub(r"[^A-Za-z0-9]", "", topic.code)[:100]
    return replace(card.source, topic=replace(topic, code=code))


def _put_drug_first(suggestion: Suggestion) -> Suggestion:
    """The sandbox takes the first action that brings a drug with both a code and a text."""
    actions = sorted(suggestion.actions, key=lambda action: not _has_drug(action))
    return replace(suggestion, actions=tuple(map(_add_text, actions)))


def _has_drug(action: Action) -> bool:
    return action.resource is not None and action.resource["resourceType"] == "MedicationRequest"


def _add_text(action: Action) -> Action:
    if action.resource is None:
        return action
    key = CONCEPT_MEMBERS.get(str(action.resource["resourceType"]), "code")
    concept = action.resource.get(key)
    if not isinstance(concept, Mapping) or concept.get("text") or not concept.get("coding"):
        return action
    new_concept = {**concept, "text": concept["coding"][0].get("display", action.description)}
    return replace(action, resource={**action.resource, key: new_concept})
