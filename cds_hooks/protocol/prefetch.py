"""What a client sent for each prefetch key, every meaning kept apart.

Not having searched, having searched and found nothing, and having failed are three things; none
of them is ever taken for another. [PF-04, PF-05, PF-06, PF-07]
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any
from urllib.parse import quote

from cds_hooks.protocol.hook_request import HOOKS, HookRequest

TOKEN = re.compile(r"\{\{context\.([A-Za-z]+)\}\}")
DATE_PREFIX = re.compile(r"^(eq|lt|gt|ge|le)?\d{4}")


class PrefetchState(StrEnum):
    FOUND = "found"
    NONE = "none"  # searched, and there is nothing
    FAILED = "failed"  # searched in vain: unknown, and no use asking again
    LEFT_OUT = "left out"  # not searched: unknown, and worth fetching


@dataclass(frozen=True, slots=True)
class PrefetchAnswer:
    """What is known for one key."""

    key: str
    state: PrefetchState
    resources: tuple[dict[str, Any], ...] = ()
    is_complete: bool = True
    is_fetched: bool = False
    next_url: str | None = None

    @property
    def is_known(self) -> bool:
        return self.state in (PrefetchState.FOUND, PrefetchState.NONE)


@dataclass(frozen=True, slots=True)
class FetchResult:
    """One query that was tried, for the log: no URL, since it holds the patient's id."""

    key: str
    state: PrefetchState
    reason: str
    milliseconds: float


class TemplateError(ValueError):
    """A prefetch template that not every client can be relied on to run. Stops the start."""


def read_prefetch(request: HookRequest, templates: Mapping[str, str]) -> dict[str, PrefetchAnswer]:
    """An Answer for each key of `templates`; keys that nobody asked for are ignored."""
    return {
        key: _read_sent(key, template, request)
        if key in request.prefetch
        else PrefetchAnswer(
            key,
            PrefetchState.LEFT_OUT
            if _has_token_values(template, request)
            else PrefetchState.FAILED,
        )
        for key, template in templates.items()
    }


def _has_token_values(template: str, request: HookRequest) -> bool:
    """Whether the context has every value that the query needs."""
    return all(request.context.get(name) is not None for name in TOKEN.findall(template))


def _read_sent(key: str, template: str, request: HookRequest) -> PrefetchAnswer:
    """What was sent for a key; a read that brought another resource is no answer to it."""
    answer = interpret_value(key, find_resource_type(template), request.prefetch[key])
    if "?" not in template and answer.state is PrefetchState.FOUND:
        id_ = expand_template(template, request.context).partition("/")[2]
        if not any(quote(str(r.get("id")), safe="") == id_ for r in answer.resources):
            return _make_unusable_answer(key)
    return answer


@cache
def find_resource_type(template: str) -> str:
    """The resource type that a template asks for."""
    return re.split(r"[/?]", template, maxsplit=1)[0]


def interpret_value(key: str, resource_type: str, value: Any) -> PrefetchAnswer:
    """What `value`, sent by a client or fetched from a server, says about `wanted` resources."""
    if value is None:
        return PrefetchAnswer(key, PrefetchState.NONE)
    kind = _read_resource_type(value)
    if kind == "OperationOutcome":
        return PrefetchAnswer(key, PrefetchState.FAILED)
    if kind == "Bundle":
        return _interpret_bundle(key, resource_type, value)
    if kind is not None:
        return (
            PrefetchAnswer(key, PrefetchState.FOUND, (value,))
            if kind == resource_type
            else _make_unusable_answer(key)
        )
    wrapped = value.get("resource") if isinstance(value, dict) else None
    if _read_resource_type(wrapped) is not None:
        return interpret_value(key, resource_type, wrapped)  # the wrapper of clients before 1.0
    return _make_unusable_answer(key)


def _read_resource_type(value: Any) -> str | None:
    """The type of a resource; None where `value` is none."""
    kind = value.get("resourceType") if isinstance(value, dict) else None
    return kind if isinstance(kind, str) else None


def _make_unusable_answer(key: str) -> PrefetchAnswer:
    return PrefetchAnswer(key, PrefetchState.LEFT_OUT)


def _interpret_bundle(key: str, resource_type: str, bundle: Mapping[str, Any]) -> PrefetchAnswer:
    entries = bundle.get("entry")
    entry_list = entries if isinstance(entries, list) else [entries] if entries is not None else []
    resources: list[dict[str, Any]] = []
    failed = other = False
    for entry in entry_list:
        resource: Any = entry.get("resource") if isinstance(entry, dict) else None
        kind = _read_resource_type(resource)
        if kind in (resource_type, "Medication"):
            resources.append(resource)
        elif kind == "OperationOutcome":
            failed = failed or _is_failure(resource)
        elif kind is not None:
            other = True
    next_url = _find_next_link(bundle)
    if any(resource["resourceType"] == resource_type for resource in resources):
        complete = not failed and next_url is None
        return PrefetchAnswer(
            key, PrefetchState.FOUND, tuple(resources), complete, next_url=next_url
        )
    if failed:
        return PrefetchAnswer(key, PrefetchState.FAILED)
    if other:
        return _make_unusable_answer(key)  # answers another question than the one asked
    if next_url is not None:
        return PrefetchAnswer(key, PrefetchState.FOUND, is_complete=False, next_url=next_url)
    return PrefetchAnswer(key, PrefetchState.NONE)


def _is_failure(outcome: Mapping[str, Any]) -> bool:
    """An outcome entry that only says "nothing found" is no failure; some servers send one."""
    issues = outcome.get("issue")
    issue_list = issues if isinstance(issues, list) else [issues]
    return any(isinstance(i, dict) and i.get("severity") in ("error", "fatal") for i in issue_list)


def _find_next_link(bundle: Mapping[str, Any]) -> str | None:
    links = bundle.get("link")
    for link in links if isinstance(links, list) else [links]:
        if isinstance(link, dict) and link.get("relation") == "next":
            url = link.get("url")
            if isinstance(url, str) and url:
                return url
    return None


def expand_template(template: str, context: Mapping[str, Any]) -> str:
    """The query of `template` for one call, every value percent-encoded."""
    return TOKEN.sub(lambda match: quote(str(context[match[1]]), safe=""), template)


def check_templates(templates: Mapping[str, str], hook: str) -> None:
    """Raises TemplateFault for a template outside what clients widely support. [PF-08 to PF-18]"""
    for key, template in templates.items():
        reason = _find_template_error(template, HOOKS[hook].tokens)
        if reason is not None:
            raise TemplateError(f"prefetch template '{key}': {reason}")


def _find_template_error(template: str, fields: Iterable[str]) -> str | None:
    for field in TOKEN.findall(template):
        if field not in fields:
            return f"context.{field} is no token of this hook [PF-16]"
    plain = TOKEN.sub("token", template)
    if "{" in plain or "}" in plain:
        return "a token other than {{context.field}} [PF-08, PF-09]"
    if re.fullmatch(r"[A-Z][A-Za-z]+/token", plain):
        return None
    search = re.fullmatch(r"[A-Z][A-Za-z]+\?(.+)", plain)
    if search is None:
        return "neither a read nor a search of one type [PF-18]"
    return _find_parameter_error(search[1].split("&"))


def _find_parameter_error(parameters: list[str]) -> str | None:
    names = []
    for parameter in parameters:
        name, equals, value = parameter.partition("=")
        names.append(name)
        if not equals or not value:
            return f"parameter {name} has no value"
        base, _, modifier = name.partition(":")
        if modifier not in ("", "in"):
            return f"modifier {modifier} [PF-18]"
        if base.startswith(("_has", "_include", "_revinclude", "_lastUpdated")) or "." in base:
            return f"parameter {base} [PF-18]"
        if base == "date" and not DATE_PREFIX.match(value):
            return "a date prefix that is not eq, lt, gt, ge or le [PF-18]"
    repeated = {name for name in names if names.count(name) > 1}
    return f"parameter {min(repeated)} is repeated" if repeated else None
