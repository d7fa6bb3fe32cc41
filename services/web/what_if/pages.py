"""`/what-if`: a made-up patient in the address, or a document pasted, answered and not kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from threading import BoundedSemaphore
from typing import Any

import orjson
from flask import Blueprint, Response, redirect, request
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import ServiceUnavailable
from werkzeug.wrappers import Response as AnyResponse

from cds_hooks.web.openapi import READING, refusals
from mappings.knowledge_file import KnowledgeFault
from services.hooks.documents import UnusableDocument
from services.hooks.offered_hooks import OFFERED_HOOKS
from services.hooks.overrides import Choices, Chosen, choose
from services.web.frame import Frame
from services.web.unit_text import spelt
from services.web.what_if.form_fields import (
    METHODS,
    NO_UNIT,
    ROUTES,
    SEXES,
    drafts,
    measures,
    of_kind,
)
from services.web.what_if.prefill import entered_of
from services.web.what_if.query import SAMPLES, Asked, Options, pasted, read
from services.web.what_if.view import View

PATH = "/what-if"
CASE = f"{PATH}/case"
MOST_CHOICES = 8  # sets of knowledge that a process keeps at hand, some megabytes each
MOST_AWKWARD = 1 << 20  # characters of what is sent in every way: that costs some 50 calls
MOST_AT_ONCE = 8  # pages of a process: a large paste takes seconds, and hooks need threads
OF_PASTE = {"csrf_token", "document"}  # what never belongs into an address
EMPTY_DRUGS = 2  # rows for further drugs


def what_if_paths() -> dict[str, Any]:
    """What the OpenAPI document says of these pages."""
    page = {
        "description": "The answer, how it came about, and how it changes.",
        "content": {"text/html": {"schema": {"type": "string"}}},
    }
    case = {
        "description": "A regression case for `cobalamin check-cases`.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
    form = {
        "type": "object",
        "required": ["csrf_token", "document"],
        "properties": {"csrf_token": {"type": "string"}, "document": {"type": "string"}},
    }
    body = {"content": {"application/x-www-form-urlencoded": {"schema": form}}, "required": True}

    def operation(name: str, ok: dict[str, Any], **members: Any) -> dict[str, Any]:
        return {"operationId": name, "responses": {"200": ok, **refusals(READING)}, **members}

    return {
        PATH: {
            "get": operation("what-if", page),
            "post": operation("what-if-pasted", page, requestBody=body),
        },
        CASE: {
            "get": operation("what-if-case", case),
            "post": operation("what-if-case-pasted", case, requestBody=body),
        },
    }


class DeskBusy(ServiceUnavailable):
    """Others are answered already."""


class Desk:
    """Where the questions of one process are answered; it keeps knowledge, and no question."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._places = BoundedSemaphore(MOST_AT_ONCE)
        self._chosen = lru_cache(MOST_CHOICES)(self._choose)
        self._options = lru_cache(MOST_CHOICES)(self._options_of)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Room to be answered. Raises DeskBusy where there is none."""
        if not self._places.acquire(blocking=False):
            raise DeskBusy
        try:
            yield
        finally:
            self._places.release()

    def _choose(self, tenant: str, choices: Choices) -> Chosen:
        settings = self._frame.settings
        return choose(settings.tenant(tenant), choices, settings.base_url)

    def _options_of(self, tenant: str) -> Options:
        return Options.of(self._frame.known[tenant])

    def options(self) -> Options:
        return self._options(self._frame.access.tenant().id)

    def asked(self) -> Asked:
        tenant, known = self._frame.access.tenant(), self._frame.here
        today = datetime.now(UTC).date()
        site = Choices.of_site(tenant, known)
        given = request.args.copy()
        for name in set(request.form) - OF_PASTE:
            given[name] = request.form[name]
        is_pasted = request.method == "POST"
        return read(given, known, site, self.options(), today, is_pasted=is_pasted)

    def view(self, asked: Asked, text: str | None) -> View:
        """Raises UnusableDocument, and KnowledgeFault for choices that do not go together."""
        if asked.aside.get("awkward") and text is not None and len(text) > MOST_AWKWARD:
            raise UnusableDocument("larger than what is sent in every way: at most 1 MiB")
        chosen = self._chosen(self._frame.access.tenant().id, asked.choices)
        known = chosen.known
        document = asked.document(known) if text is None else pasted(text, asked, known)
        return View.of(document, asked, chosen, self._frame.settings)

    def page(self, text: str | None) -> Response:
        """The page about the made-up patient of the address, or about what was pasted."""
        asked, known = self.asked(), self._frame.here
        entered, view, fault = asked.entered, None, ""
        try:
            view = self.view(asked, text)
        except (UnusableDocument, KnowledgeFault) as refused:
            fault = str(refused)
        if view is not None and asked.sample and text is None:
            entered = entered_of(view.shown.answered.chart, known)
        return self._frame.page(
            "pages/what_if/page.html",
            asked=asked,
            view=view,
            fault=fault,
            entered=entered,
            text=text,
            options=self.options(),
            samples=SAMPLES,
            measures=measures(known),
            conditions=of_kind(known, "condition", "procedure"),
            medications=of_kind(known, "medication"),
            drafts=drafts(known),
            hooks={hook: offered.when for hook, offered in OFFERED_HOOKS.items()},
            sexes=SEXES,
            routes=ROUTES,
            methods=METHODS,
            no_unit=NO_UNIT,
            drug_rows=len(entered.drugs) + EMPTY_DRUGS,
            spelt=spelt,
        )

    def case(self, text: str | None) -> Response:
        """A file to download; the page with what is wrong, where there is no answer to keep."""
        try:
            case = self.view(self.asked(), text).case()
        except (UnusableDocument, KnowledgeFault):
            return self.page(text)
        body = orjson.dumps(case, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        response = Response(body, mimetype="application/json")
        response.headers["Content-Disposition"] = 'attachment; filename="case.json"'
        return response


def what_if_pages(frame: Frame) -> Blueprint:
    """The page, and the case to download."""
    pages, desk = frame.blueprint("what-if"), Desk(frame)

    @pages.record_once
    def prepare(state: BlueprintSetupState) -> None:
        # What may be called with may be pasted.
        largest = state.app.config["MAX_CONTENT_LENGTH"]
        state.app.config["MAX_FORM_MEMORY_SIZE"] = largest

    @pages.get(PATH)
    def made_up() -> AnyResponse:
        asked = desk.asked()
        if not all(request.args.values()) and not asked.faults:
            return redirect(f"{PATH}?{asked.query()}")  # without what was left empty
        with desk.place():
            return desk.page(None)

    @pages.post(PATH)
    def answered() -> Response:
        with desk.place():
            return desk.page(request.form.get("document", ""))

    @pages.get(CASE)
    def case() -> Response:
        with desk.place():
            return desk.case(None)

    @pages.post(CASE)
    def case_of_pasted() -> Response:
        with desk.place():
            return desk.case(request.form.get("document", ""))

    return pages
