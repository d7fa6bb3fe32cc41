"""Answer golden calls at each start, and check that the right cards are shown.

A broken installation, a file that was changed or a fault in a rule shows before a clinician meets
it. The calls hold under each guideline and definition that ships; where a site has limits, codes or
policies of its own, what they change cannot be foreseen, and the calls only have to be answered.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from functools import cache
from importlib.resources import files
from typing import Any

import orjson

from cds_hooks.config.tenants import Tenant
from cds_hooks.protocol import prefetch
from cds_hooks.protocol.cards import as_json
from cds_hooks.protocol.hook_request import read_request
from cds_hooks.protocol.service import Call, Service
from services.hooks.catalog import build_services
from services.knowledge.site import SiteKnowledge

SHOW_EVERYTHING = {"mode": "everything"}  # whatever a site's attention would withhold
NOON_HOUR = 12


def find_failed_calls(
    tenants: Iterable[Tenant], knowledge: Mapping[str, SiteKnowledge]
) -> tuple[str, ...]:
    """The names of golden calls that were not answered as they should be, by any knowledge."""
    tested: list[SiteKnowledge] = []
    failed: dict[str, None] = {}
    for tenant in tenants:
        knows = knowledge[tenant.id]
        if any(knows is other for other in tested):
            continue
        tested.append(knows)
        differing = [name for name, is_right in _check_golden_calls(knows) if not is_right]
        if not has_own_rules(tenant):
            failed |= dict.fromkeys(differing)
    return tuple(failed)


def has_own_rules(tenant: Tenant) -> bool:
    """Whether a site changed what a limit, a code or a policy means."""
    match tenant.service_tables:
        case {"policy": _} | {"local_code": _} | {"value_set": _} | {"guideline": _}:
            return True
        case {"b12": {"laboratory": _}} | {"sarcopenia": {"minimum_age": _}}:
            return True
    return False


def _check_golden_calls(knowledge: SiteKnowledge) -> Iterator[tuple[str, bool]]:
    """Each golden call, and whether its cards are about what they should be about."""
    by_hook = {
        service.hook: service
        for service in build_services(knowledge, "https://cds.example", SHOW_EVERYTHING)
    }
    for name, topics in read_golden("golden/topics").items():
        yield name, _find_topics(dict(read_golden(name)), by_hook) == topics


def _find_topics(document: dict[str, Any], by_hook: Mapping[str, Service]) -> list[str]:
    today = date.fromisoformat(document.pop("sampleDay"))
    service = by_hook[document["hook"]]
    request = read_request(document, service.hook)
    answers = prefetch.read_prefetch(request, service.prefetch)
    now = datetime(today.year, today.month, today.day, NOON_HOUR, tzinfo=UTC)
    cards = [as_json(card) for card in service.decide(Call(request, answers, today, now)).cards]
    return [card["source"]["topic"]["code"] for card in cards]


@cache
def read_golden(name: str) -> dict[str, Any]:
    """A file of this package: `golden/...` or `samples/...`."""
    content: dict[str, Any] = orjson.loads((files("services.hooks") / f"{name}.json").read_bytes())
    return content
