"""`/evidence` and below, `/fhir/...`: HTML for a browser, JSON for who asks for it."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import orjson
from babel import Locale
from flask import Blueprint, Response, g, request
from werkzeug.exceptions import NotFound

from services.hooks.offered_hooks import OFFERED_HOOKS
from services.vitamin_b12.labels import NEXT_STEPS
from services.web.evidence import codes, comparison
from services.web.evidence.catalogue import (
    CHOICES,
    ORDERS,
    RULES,
    SIDE_BY_SIDE,
    TOGETHER,
    EvidenceCatalogue,
    build_catalogue,
)
from services.web.evidence.muscle_glossary import list_combinations
from services.web.frame import Frame
from services.web.unit_text import spell_units

MAX_QUERY_LENGTH = 200  # characters of a search
TEMPLATES = {
    TOGETHER: "b12_and_muscle.html",
    ORDERS: "orders.html",
    RULES: "rules.html",
    CHOICES: "choices.html",
    SIDE_BY_SIDE: "side_by_side.html",
}
MEANING_TONES = {
    **dict.fromkeys(("deficient", "grossly_raised", "severe_anaemia"), "bad"),
    **dict.fromkeys(("low_strength", "low_mass", "low_performance"), "bad"),
    **dict.fromkeys(("indeterminate", "raised", "positive_screen", "low"), "watch"),
    **dict.fromkeys(("impaired", "macrocytosis", "anaemia", "intermediate_strength"), "watch"),
    "unlikely": "good",
}


def make_evidence_pages(frame: Frame) -> Blueprint:
    """The pages. Raises KnowledgeFault for what cannot be read."""
    pages, shelves = frame.make_blueprint("evidence"), _build_catalogues(frame)
    pages.add_app_template_filter(spell_units, "spelt")
    pages.add_app_template_filter(lambda name: name.replace("_", " "), "plain")
    show = partial(_render, frame)

    def here() -> EvidenceCatalogue:
        return shelves[frame.access.tenant().id]

    @pages.after_request
    def kept(response: Response) -> Response:
        return _set_cache_control(frame, response)

    @pages.get("/evidence")
    def index() -> Response:
        return show(here(), "index.html", here().documents[""])

    @pages.get("/evidence/codes")
    def code_search() -> Response:
        query = request.args.get("q", "").strip()[:MAX_QUERY_LENGTH]
        found = codes.search_lists(here().lists, query)
        told = [{**one.list.as_json(), "codes": [c.as_json() for c in one.codes]} for one in found]
        plain = orjson.dumps({"query": query, "lists": told})
        return show(here(), "codes.html", plain, query=query, found=found, kinds=codes.KIND_TITLES)

    @pages.get("/evidence/codes/<name>")
    def code_list(name: str) -> Response:
        one = here().lists.get(name)
        if one is None:
            raise NotFound
        plain = orjson.dumps(one.as_json())
        return show(here(), "code_list.html", plain, one=one, kinds=codes.KIND_TITLES)

    @pages.get("/evidence/<id_>")
    def one(id_: str) -> Response:
        found = _find_catalogue(id_, here(), shelves.values() if _is_public(frame) else ())
        return _render_publication(show, found, id_)

    @pages.get("/fhir/<kind>/<id_>")
    def artefact(kind: str, id_: str) -> Response:
        resource = here().fhir.get(f"{kind}/{id_}")
        if resource is None:
            raise NotFound
        return Response(resource, mimetype="application/fhir+json")

    return pages


def _build_catalogues(frame: Frame) -> dict[str, EvidenceCatalogue]:
    """By tenant; those who are answered by the same knowledge share one."""
    made: dict[int, EvidenceCatalogue] = {}
    shelves = {}
    for tenant in frame.settings.tenants:
        known = frame.knowledge_by_tenant[tenant.id]
        if id(known) not in made:
            made[id(known)] = build_catalogue(known, tenant)
        shelves[tenant.id] = made[id(known)]
    return shelves


def _find_catalogue(id_: str, here: EvidenceCatalogue, others: Any) -> EvidenceCatalogue:
    """The shelf with `id_`: the reader's own, else another's, since a card of any tenant links
    here and who follows the link need not be signed in. Raises NotFound."""
    found: Iterator[EvidenceCatalogue] = (one for one in (here, *others) if one.documents.get(id_))
    held = next(found, None)
    if held is None or not id_:
        raise NotFound
    return held


def _render_publication(
    show: Callable[..., Response], held: EvidenceCatalogue, id_: str
) -> Response:
    plain = held.documents[id_]
    if id_ in TEMPLATES:
        return show(held, TEMPLATES[id_], plain, **_collect_values(held, id_))
    if id_ in held.definitions:
        definition = held.definitions[id_]
        looked_at, rows = list_combinations(definition)
        return show(
            held,
            "definition.html",
            plain,
            definition=definition,
            definition_parts=looked_at,
            combined=rows,
        )
    guideline = held.guidelines[id_]
    return show(held, "guideline.html", plain, guideline=guideline, words=NEXT_STEPS)


def _collect_values(held: EvidenceCatalogue, id_: str) -> dict[str, Any]:
    """What a page is drawn from besides the shelf."""
    if id_ == RULES:
        code = held.knowledge.language.code
        named = Locale.parse(code).get_display_name(code) or code
        return {"language": code, "named": named.capitalize()}
    if id_ == CHOICES:
        return {"hooks": [*OFFERED_HOOKS]}
    if id_ == SIDE_BY_SIDE:
        guidelines, definitions = [*held.guidelines.values()], [*held.definitions.values()]
        return {
            "tables": [
                ("Vitamin B12", guidelines, comparison.build_rows(guidelines)),
                ("Sarcopenia", definitions, comparison.build_rows(definitions)),
            ]
        }
    return {}


def _render(
    frame: Frame, held: EvidenceCatalogue, template: str, plain: bytes, **values: Any
) -> Response:
    """The page, or the same as JSON where that is asked for."""
    accepted = request.accept_mimetypes.best_match(["text/html", "application/json"])
    if accepted == "application/json" or request.args.get("format") == "json":
        return Response(plain, mimetype="application/json")
    values = {"held": held, "known": held.knowledge, "titles": held.knowledge.b12.titles, **values}
    return frame.render_page(f"pages/evidence/{template}", tones=MEANING_TONES, **values)


def _is_public(frame: Frame) -> bool:
    return "evidence" in frame.settings.pages.public


def _set_cache_control(frame: Frame, response: Response) -> Response:
    """What everybody may read may be kept for a while; what a user is shown may not."""
    response.vary.update(("Accept", "Cookie"))
    is_signed_in = bool(g.get("user") and g.user.subject)
    if response.status_code == 200 and _is_public(frame) and not is_signed_in:
        response.headers["Cache-Control"] = "public, max-age=300"
    return response
