"""`/what-if`: a made-up patient in the address, or a document pasted, answered and not kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from threading import BoundedSemaphore

import orjson
from flask import Blueprint, Response, redirect, request
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import ServiceUnavailable
from werkzeug.wrappers import Response as AnyResponse

from mappings.knowledge_file import KnowledgeError
from services.hooks.documents import UnusableDocumentError
from services.hooks.offered_hooks import OFFERED_HOOKS
from services.hooks.overrides import Variant, VariantOptions, build_variant
from services.web.frame import Frame
from services.web.unit_text import spell_units
from services.web.what_if.form_fields import (
    METHODS,
    NO_UNIT,
    ROUTES,
    SEXES,
    list_drafts,
    list_measures,
    list_value_sets,
)
from services.web.what_if.prefill import build_form
from services.web.what_if.query import (
    SAMPLE_NAMES,
    OfferedOptions,
    WhatIfQuery,
    read_pasted,
    read_query,
)
from services.web.what_if.view import WhatIfView

WHAT_IF_PATH = "/what-if"
CASE_PATH = f"{WHAT_IF_PATH}/case"
MAX_CACHED_VARIANTS = 8  # sets of knowledge that a process keeps at hand, some megabytes each
MAX_FAULT_TRIAL_BYTES = 1 << 20  # characters of what is sent in every way: that costs some 50 calls
MAX_CONCURRENT = 8  # pages of a process: a large paste takes seconds, and hooks need threads
PASTE_FIELDS = {"csrf_token", "document"}  # what never belongs into an address
EMPTY_DRUGS = 2  # rows for further drugs


class WhatIfBusyError(ServiceUnavailable):
    """Others are answered already."""


class WhatIfPages:
    """Where the questions of one process are answered; it keeps knowledge, and no question."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._places = BoundedSemaphore(MAX_CONCURRENT)
        self._chosen = lru_cache(MAX_CACHED_VARIANTS)(self._choose_variant)
        self._options = lru_cache(MAX_CACHED_VARIANTS)(self._find_options)

    @contextmanager
    def reserve_place(self) -> Iterator[None]:
        """Room to be answered. Raises WhatIfBusyError where there is none."""
        if not self._places.acquire(blocking=False):
            raise WhatIfBusyError
        try:
            yield
        finally:
            self._places.release()

    def _choose_variant(self, tenant: str, choices: VariantOptions) -> Variant:
        settings = self._frame.settings
        return build_variant(settings.find_tenant(tenant), choices, settings.base_url)

    def _find_options(self, tenant: str) -> OfferedOptions:
        return OfferedOptions.from_knowledge(self._frame.knowledge_by_tenant[tenant])

    def get_options(self) -> OfferedOptions:
        return self._options(self._frame.access.get_tenant().id)

    def read_query(self) -> WhatIfQuery:
        tenant, knowledge = self._frame.access.get_tenant(), self._frame.knowledge
        today = datetime.now(UTC).date()
        site = VariantOptions.from_site(tenant, knowledge)
        parameters = request.args.copy()
        for name in set(request.form) - PASTE_FIELDS:
            parameters[name] = request.form[name]
        is_pasted = request.method == "POST"
        return read_query(
            parameters, knowledge, site, self.get_options(), today, is_pasted=is_pasted
        )

    def build_view(self, query: WhatIfQuery, text: str | None) -> WhatIfView:
        """Raises UnusableDocument, and KnowledgeError for choices that do not go together."""
        if query.aside.get("awkward") and text is not None and len(text) > MAX_FAULT_TRIAL_BYTES:
            raise UnusableDocumentError("larger than what is sent in every way: at most 1 MiB")
        variant = self._chosen(self._frame.access.get_tenant().id, query.choices)
        knowledge = variant.knowledge
        document = (
            query.build_document(knowledge) if text is None else read_pasted(text, query, knowledge)
        )
        return WhatIfView.from_document(document, query, variant, self._frame.settings)

    def render_page(self, text: str | None) -> Response:
        """The page about the made-up patient of the address, or about what was pasted."""
        query, knowledge = self.read_query(), self._frame.knowledge
        form, view, fault = query.entered, None, ""
        try:
            view = self.build_view(query, text)
        except (UnusableDocumentError, KnowledgeError) as refused:
            fault = str(refused)
        if view is not None and query.sample and text is None:
            form = build_form(view.result.answered.chart, knowledge)
        return self._frame.render_page(
            "pages/what_if/page.html",
            query=query,
            view=view,
            fault=fault,
            patient=form,
            text=text,
            options=self.get_options(),
            samples=SAMPLE_NAMES,
            measures=list_measures(knowledge),
            conditions=list_value_sets(knowledge, "condition", "procedure"),
            medications=list_value_sets(knowledge, "medication"),
            drafts=list_drafts(knowledge),
            hooks={hook: offered.when for hook, offered in OFFERED_HOOKS.items()},
            sexes=SEXES,
            routes=ROUTES,
            methods=METHODS,
            no_unit=NO_UNIT,
            drug_rows=len(form.drugs) + EMPTY_DRUGS,
            spell_units=spell_units,
        )

    def download_case(self, text: str | None) -> Response:
        """A file to download; the page with what is wrong, where there is no answer to keep."""
        try:
            case = self.build_view(self.read_query(), text).build_case()
        except (UnusableDocumentError, KnowledgeError):
            return self.render_page(text)
        body = orjson.dumps(case, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        response = Response(body, mimetype="application/json")
        response.headers["Content-Disposition"] = 'attachment; filename="case.json"'
        return response


def make_what_if_pages(frame: Frame) -> Blueprint:
    """The page, and the case to download."""
    pages, what_if = frame.make_blueprint("what-if"), WhatIfPages(frame)

    @pages.record_once
    def prepare(state: BlueprintSetupState) -> None:
        # What may be called with may be pasted.
        largest = state.app.config["MAX_CONTENT_LENGTH"]
        state.app.config["MAX_FORM_MEMORY_SIZE"] = largest

    @pages.get(WHAT_IF_PATH)
    def made_up() -> AnyResponse:
        query = what_if.read_query()
        if not all(request.args.values()) and not query.faults:
            return redirect(f"{WHAT_IF_PATH}?{query.as_query()}")  # without what was left empty
        with what_if.reserve_place():
            return what_if.render_page(None)

    @pages.post(WHAT_IF_PATH)
    def answered() -> Response:
        with what_if.reserve_place():
            return what_if.render_page(request.form.get("document", ""))

    @pages.get(CASE_PATH)
    def case() -> Response:
        with what_if.reserve_place():
            return what_if.download_case(None)

    @pages.post(CASE_PATH)
    def case_of_pasted() -> Response:
        with what_if.reserve_place():
            return what_if.download_case(request.form.get("document", ""))

    return pages
