"""`/evidence` and below, `/fhir/...`: HTML for a browser, JSON for who asks for it."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import orjson
from babel import Locale
from flask import Blueprint, Response, g, request
from werkzeug.exceptions import NotFound

from services.assessment.b12_steps import B12Step
from services.assessment.labels import list_sentences
from services.hooks.offered_hooks import OFFERED_HOOKS
from services.web.evidence import codes, comparison
from services.web.evidence.catalogue import (
    B12_AND_MUSCLE,
    CHOICES,
    ORDERS,
    RULES,
    SIDE_BY_SIDE,
    EvidenceCatalogue,
    build_catalogue,
)
from services.web.evidence.muscle_glossary import list_combinations
from services.web.frame import Frame
from services.web.unit_text import spell_units

MAX_QUERY_LENGTH = 200  # characters of a search
TEMPLATES = {
    B12_AND_MUSCLE: "b12_and_muscle.html",
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
    """The pages. Raises KnowledgeError for what cannot be read."""
    pages, catalogues = frame.make_blueprint("evidence"), _build_catalogues(frame)
    pages.add_app_template_filter(spell_units)
    pages.add_app_template_filter(lambda name: name.replace("_", " "), "plain")
    show = partial(_render, frame)

    def get_catalogue() -> EvidenceCatalogue:
        return catalogues[frame.access.get_tenant().id]

    @pages.after_request
    def set_cache_control(response: Response) -> Response:
        return _set_cache_control(frame, response)

    @pages.get("/evidence")
    def index() -> Response:
        return show(get_catalogue(), "index.html", get_catalogue().documents[""])

    @pages.get("/evidence/codes")
    def code_search() -> Response:
        query = request.args.get("q", "").strip()[:MAX_QUERY_LENGTH]
        matches = codes.search_lists(get_catalogue().lists, query)
        lists = [
            {**match.list.as_json(), "codes": [c.as_json() for c in match.codes]}
            for match in matches
        ]
        plain = orjson.dumps({"query": query, "lists": lists})
        return show(
            get_catalogue(),
            "codes.html",
            plain,
            query=query,
            matches=matches,
            kinds=codes.KIND_TITLES,
        )

    @pages.get("/evidence/codes/<name>")
    def code_list(name: str) -> Response:
        codes_of_list = get_catalogue().lists.get(name)
        if codes_of_list is None:
            raise NotFound
        plain = orjson.dumps(codes_of_list.as_json())
        return show(
            get_catalogue(),
            "code_list.html",
            plain,
            code_list=codes_of_list,
            kinds=codes.KIND_TITLES,
        )

    @pages.get("/evidence/<id_>")
    def one(id_: str) -> Response:
        catalogue = _find_catalogue(
            id_, get_catalogue(), catalogues.values() if _is_public(frame) else ()
        )
        return _render_publication(show, catalogue, id_)

    @pages.get("/fhir/<kind>/<id_>")
    def artefact(kind: str, id_: str) -> Response:
        resource = get_catalogue().fhir.get(f"{kind}/{id_}")
        if resource is None:
            raise NotFound
        return Response(resource, mimetype="application/fhir+json")

    return pages


def _build_catalogues(frame: Frame) -> dict[str, EvidenceCatalogue]:
    """By tenant; those who are answered by the same knowledge share one."""
    by_knowledge: dict[int, EvidenceCatalogue] = {}
    catalogues = {}
    for tenant in frame.settings.tenants:
        knowledge = frame.knowledge_by_tenant[tenant.id]
        if id(knowledge) not in by_knowledge:
            by_knowledge[id(knowledge)] = build_catalogue(knowledge, tenant)
        catalogues[tenant.id] = by_knowledge[id(knowledge)]
    return catalogues


def _find_catalogue(id_: str, own: EvidenceCatalogue, others: Any) -> EvidenceCatalogue:
    """The catalogue with `id_`: the user's own, else another's, since a card of any tenant links
    here and who follows the link need not be signed in. Raises NotFound."""
    matches: Iterator[EvidenceCatalogue] = (
        other for other in (own, *others) if other.documents.get(id_)
    )
    catalogue = next(matches, None)
    if catalogue is None or not id_:
        raise NotFound
    return catalogue


def _render_publication(
    show: Callable[..., Response], catalogue: EvidenceCatalogue, id_: str
) -> Response:
    plain = catalogue.documents[id_]
    if id_ in TEMPLATES:
        return show(catalogue, TEMPLATES[id_], plain, **_collect_values(catalogue, id_))
    if id_ in catalogue.definitions:
        definition = catalogue.definitions[id_]
        looked_at, rows = list_combinations(definition)
        return show(
            catalogue,
            "definition.html",
            plain,
            definition=definition,
            definition_parts=looked_at,
            combined=rows,
        )
    guideline = catalogue.guidelines[id_]
    words = list_sentences(B12Step)
    return show(catalogue, "guideline.html", plain, guideline=guideline, words=words)


def _collect_values(catalogue: EvidenceCatalogue, id_: str) -> dict[str, Any]:
    """Values of a page's template besides the catalogue."""
    if id_ == RULES:
        code = catalogue.knowledge.language.code
        name = Locale.parse(code).get_display_name(code) or code
        return {"language": code, "named": name.capitalize()}
    if id_ == CHOICES:
        return {"hooks": [*OFFERED_HOOKS]}
    if id_ == SIDE_BY_SIDE:
        guidelines, definitions = (
            [*catalogue.guidelines.values()],
            [*catalogue.definitions.values()],
        )
        return {
            "tables": [
                ("Vitamin B12", guidelines, comparison.build_rows(guidelines)),
                ("Sarcopenia", definitions, comparison.build_rows(definitions)),
            ]
        }
    return {}


def _render(
    frame: Frame, catalogue: EvidenceCatalogue, template: str, plain: bytes, **values: Any
) -> Response:
    """The page, or the same as JSON where that is asked for."""
    accepted = request.accept_mimetypes.best_match(["text/html", "application/json"])
    if accepted == "application/json" or request.args.get("format") == "json":
        return Response(plain, mimetype="application/json")
    values = {
        "catalogue": catalogue,
        "knowledge": catalogue.knowledge,
        "titles": catalogue.knowledge.b12.titles,
        **values,
    }
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
