"""Log lines as the service writes them, with what a test wants different."""

from typing import Any

SERVICE = "b12-muscle-patient-view"


def line(event: str, time: str, **members: Any) -> dict[str, Any]:
    """`time` is a day, or a day and a time."""
    whole = time if "T" in time else f"{time}T10:00:00.000Z"
    return {"event": event, "time": whole, "tenant": "north", "service": SERVICE, **members}


def decision(time: str, **members: Any) -> dict[str, Any]:
    usual = {
        "version": "1.0",
        "status": 200,
        "durationMs": 10.0,
        "schema": 2,
        "prefetch": {"supplied": 9, "fetched": 1, "failed": 0, "incomplete": 0},
        "findings": {"b12": "deficient", "sarcopenia": "not_assessed"},
        "tier": "T3",
        "suppressed": [],
        "knowledge": {"b12": "uk-ng239@1.0.0", "sarcopenia": "ewgsop2-2019@1.0.0"},
        "cards": [],
    }
    return line("decision", time, **usual | members)


def old_decision(time: str, **members: Any) -> dict[str, Any]:
    """As version 1 of the line had it: a member for each category."""
    new = decision(time, **members)
    found = new.pop("findings")
    del new["schema"], new["prefetch"]["incomplete"]
    return {**new, "b12Category": found["b12"], "sarcopeniaCategory": found["sarcopenia"]}


def card(uuid: str, topic: str = "b12Deficient", indicator: str = "warning") -> dict[str, str]:
    return {"uuid": uuid, "topic": topic, "indicator": indicator}


def answer(time: str, uuid: str, outcome: str, reason: str | None = None) -> dict[str, Any]:
    said = {"card": uuid, "outcome": outcome, **({"reason": reason} if reason else {})}
    return line("feedback", time, outcomes=[said])


def fetch(time: str, **members: Any) -> dict[str, Any]:
    usual = {"key": "conditions", "state": "found", "reason": "ok", "durationMs": 20.0}
    return line("fetch", time, **usual | members)
