"""Attention rules: which cards may interrupt, and how often; the shipped ones and a site's own."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mappings.knowledge_file import CLINICAL, KnowledgeError, check_schema, read_toml

FILE = "attention.toml"


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom a rule speaks to: users with one of these specialties."""

    rule: str
    specialties: frozenset[str]  # "system|code"


@dataclass(frozen=True, slots=True)
class AttentionRules:
    """The attention rules in force for one service."""

    cards: int
    at_least: str
    snooze_days: int
    urgent_snooze_days: int
    repeat_guard: bool
    mode: str  # "on", "silent" or "everything"
    reasons: Mapping[str, int]  # override reason -> days of quiet
    off: frozenset[str] = frozenset()  # rules that do not speak
    silent: frozenset[str] = frozenset()  # rules that are recorded and not shown
    audience: tuple[Audience, ...] = ()

    def get_quiet_days(self, reason: str | None, *, urgent: bool) -> int:
        """Days of quiet after an answer with `reason`; None stands for an accepted card."""
        days = self.reasons.get(reason or "", self.snooze_days)
        return min(days, self.urgent_snooze_days) if urgent else days

    @property
    def max_quiet_days(self) -> int:
        return max(self.snooze_days, *self.reasons.values(), 1)


def read_attention(
    chosen: Mapping[str, Any] | None, services: Iterable[str], rules: Iterable[str]
) -> Mapping[str, AttentionRules]:
    """The attention rules in force for each of `services`, by its id.

    A site's value for a service goes before its value for all, and that before what is shipped;
    the shipped value for a service before the shipped one for all. `rules` are the names that may
    be switched. Raises KnowledgeError.
    """
    shipped = read_toml(CLINICAL / FILE)
    check_schema(shipped, "attention", FILE)
    own = dict(chosen or {})
    of_services = own.pop("services", {})
    service_ids = frozenset(services)
    for name in of_services.keys() - service_ids:
        raise KnowledgeError("attention", f"services.{name}", "no such service")
    return {
        service: _merge_rules(shipped, own, of_services.get(service, {}), service, frozenset(rules))
        for service in service_ids
    }


def _merge_rules(
    shipped: Mapping[str, Any],
    own: Mapping[str, Any],
    of_service: Mapping[str, Any],
    service: str,
    rules: frozenset[str],
) -> AttentionRules:
    general = {name: entry["value"] for name, entry in shipped.items() if "value" in entry}
    special = {k: v for k, v in shipped["services"].get(service, {}).items() if k != "why"}
    merged = {**general, **special, **own, **of_service}
    reasons = {k: v for k, v in shipped["reasons"].items() if k != "why"}
    reasons |= {**own.get("reasons", {}), **of_service.get("reasons", {})}
    audience = tuple(
        Audience(entry["rule"], frozenset(entry["specialties"]))
        for entry in merged.get("audience", ())
    )
    rule_ids = {*merged.get("off", ()), *merged.get("silent", ()), *(a.rule for a in audience)}
    for name in sorted(rule_ids - rules):
        raise KnowledgeError(
            "attention", name, f"no such rule; there are {', '.join(sorted(rules))}"
        )
    return AttentionRules(
        cards=merged["cards"],
        at_least=merged["at_least"],
        snooze_days=merged["snooze_days"],
        urgent_snooze_days=merged["urgent_snooze_days"],
        repeat_guard=merged["repeat_guard"],
        mode=merged["mode"],
        reasons=reasons,
        off=frozenset(merged.get("off", ())),
        silent=frozenset(merged.get("silent", ())),
        audience=audience,
    )
