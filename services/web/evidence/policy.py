"""What no publication says and the service chose, with its reasons: policy, attention, limits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mappings.actions.attention import FILE as ATTENTION
from mappings.actions.attention import AttentionRules
from mappings.knowledge_file import CLINICAL, read_toml
from services.hooks.offered_hooks import OFFERED_HOOKS, build_service_id
from services.knowledge.site import SiteKnowledge
from services.web.evidence.guideline_json import build_limit_document


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice; `shipped` is its value where the site has another one."""

    name: str
    value: str
    why: str
    shipped: str | None = None


@dataclass(frozen=True, slots=True)
class AttentionSetting:
    """How often cards may come: the value for each hook, in the order of OFFERED_HOOKS."""

    name: str
    values: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class PlausibleRange:
    """Values outside are verified rather than read."""

    observation: str
    unit: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Choices:
    policy: tuple[Choice, ...]
    attention: tuple[AttentionSetting, ...]
    reasons: Mapping[str, int]  # days of quiet after an answer with this reason
    reasons_why: str
    plausible: tuple[PlausibleRange, ...]
    limits_head: Mapping[str, Any]  # version, reviewed and reviewer of the common limits
    indicator: Mapping[str, Any]
    groups: tuple[tuple[str, str, str, tuple[str, ...]], ...]  # name, says, source, value sets


def build_choices(known: SiteKnowledge, attention: Mapping[str, AttentionRules]) -> Choices:
    """Those in force where `known` and `attention` are."""
    limits, shipped = read_toml(CLINICAL / "laboratory.toml"), read_toml(CLINICAL / ATTENTION)
    first = attention[build_service_id(next(iter(OFFERED_HOOKS)))]
    return Choices(
        policy=tuple(_list_policy(known)),
        attention=tuple(
            AttentionSetting(
                name,
                tuple(
                    str(getattr(attention[build_service_id(hook)], name)) for hook in OFFERED_HOOKS
                ),
                entry["why"],
            )
            for name, entry in shipped.items()
            if isinstance(entry, dict) and "value" in entry
        ),
        reasons=first.reasons,
        reasons_why=shipped["reasons"]["why"],
        plausible=tuple(
            PlausibleRange(observation, unit, low, high)
            for (observation, unit), (low, high) in known.chart_knowledge.plausible.items()
        ),
        limits_head={key: limits[key] for key in ("version", "reviewed", "reviewer")},
        indicator=known.b12.indicator,
        groups=tuple(
            (name, *known.b12.group_texts[name], members)
            for name, members in known.b12.groups.items()
        ),
    )


def _list_policy(known: SiteKnowledge) -> list[Choice]:
    shipped = read_toml(CLINICAL / "policy.toml")
    return [
        Choice(
            name,
            f"{value:g}",
            shipped[name]["why"],
            None if value == shipped[name]["value"] else f"{shipped[name]['value']:g}",
        )
        for name, value in known.b12.policy.items()
    ]


def as_json(found: Choices, known: SiteKnowledge) -> dict[str, Any]:
    return {
        "policy": {one.name: {"value": float(one.value), "why": one.why} for one in found.policy},
        "attention": {
            one.name: {"values": dict(zip(OFFERED_HOOKS, one.values, strict=True)), "why": one.why}
            for one in found.attention
        },
        "quietDaysByReason": dict(found.reasons),
        "limits": [build_limit_document(row) for row in known.b12.laboratory.cutoffs],
        "plausible": [
            {"observation": p.observation, "unit": p.unit, "low": p.low, "high": p.high}
            for p in found.plausible
        ],
        "combinedIndicator": dict(found.indicator),
        "groups": {
            name: {"says": says, "source": source, "members": list(members)}
            for name, says, source, members in found.groups
        },
    }
