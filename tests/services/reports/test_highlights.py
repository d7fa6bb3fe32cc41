"""What stands out, and what just does not."""

import pytest
from log_lines import SERVICE, answer, card, decision, fetch, line

DAYS = [f"2026-11-{day:02}" for day in range(2, 7)]  # Monday to Friday
SLOW = "was slow"


def days_of(slow_ms, calls=20, usual_ms=20.0):
    """A week whose Wednesday is another matter."""
    return [
        decision(day, durationMs=slow_ms if day == "2026-11-04" else usual_ms)
        for day in DAYS
        for _ in range(calls)
    ]


def answered(overridden, accepted, topic="orderFolicAcid", reason="patient-refuses"):
    uuids = [f"u{number}" for number in range(overridden + accepted)]
    shown = [decision("2026-11-02", cards=[card(uuid, topic)]) for uuid in uuids]
    given = [answer("2026-11-02", uuid, "overridden", reason) for uuid in uuids[:overridden]] + [
        answer("2026-11-02", uuid, "accepted") for uuid in uuids[overridden:]
    ]
    return shown + given


def refused(counts):
    busy = [decision(day) for day in DAYS for _ in range(3)]
    return busy + [
        line("auth-refused", day, reason="aud")
        for day, count in zip(DAYS, counts, strict=True)
        for _ in range(count)
    ]


def errors(status, count, calls):
    failed = [line("error", "2026-11-02", status=status, reason="KeyError") for _ in range(count)]
    return failed + [decision("2026-11-02") for _ in range(calls)]


def searches(failed, whole):
    bad = [fetch("2026-11-02", state="failed", reason="deadline") for _ in range(failed)]
    return bad + [fetch("2026-11-02") for _ in range(whole - failed)]


def cards_on(day, cards, usual):
    made = []
    for one in DAYS:
        for number in range(20):
            shown = number < (cards if one == day else usual)
            made.append(decision(one, cards=[card(f"{one}-{number}")] if shown else []))
    return made


QUIET_DAY = [decision(day) for day in DAYS if day != "2026-11-04" for _ in range(20)]
KNOWLEDGE = {"b12": "uk-ng239@1.1.0", "sarcopenia": "ewgsop2-2019@1.0.0"}

STANDS_OUT = {
    "a slow day": (days_of(100.0), "Wednesday 4 November 2026 was slow: p95 100 ms, on the other days 20 ms"),
    "an overridden topic": (answered(20, 4), "orderFolicAcid is overridden 20 of 24 times (83 %)"),
    "a slow service": (days_of(501.0, usual_ms=501.0), f"{SERVICE} is slow for north: p95 501 ms"),
    "failing searches": (searches(5, 100), "5 of 100 searches for north failed (5 %)"),
    "refusals risen": (refused((0, 1, 10, 2, 0)), "10 callers were refused on Wednesday 4 November 2026, on the other days 0.5"),
    "one failure": (errors(500, 1, 1000), "1 failure of the service itself"),
    "a fault outside calls": ([line("error", "2026-11-02", reason="upkeep failed")], "1 failure of the service itself"),
    "refused calls": (errors(422, 11, 989), "11 calls were refused (1.1 % of all)"),
    "many cards": (cards_on("2026-11-04", 20, 2), "100 cards per 100 calls on Wednesday 4 November 2026, on the other days 10"),
    "a silent day": (QUIET_DAY, "No call was answered on Wednesday 4 November 2026"),
    "no feedback": ([decision("2026-11-02", cards=[card(f"u{n}")]) for n in range(50)], f"None of 50 cards of {SERVICE} was answered at north"),
    "new knowledge": ([decision("2026-11-02"), decision("2026-11-03", knowledge=KNOWLEDGE)], "B12 of north is judged by uk-ng239@1.1.0 since 2026-11-03 10:00"),
}  # fmt: skip

UNREMARKABLE = {
    "a day three times as slow": days_of(60.0),
    "a slow day of few calls": days_of(100.0, calls=19),
    "a day that is slower and still fast": days_of(50.0, usual_ms=5.0),
    "two days say nothing of each other": [one for one in days_of(100.0) if one["time"] < "2026-11-05" and one["time"] > "2026-11-03"],
    "overridden as often as not": answered(20, 5),
    "few answers": answered(19, 0),
    "few failed searches": searches(4, 8),
    "a small part of searches": searches(5, 101),
    "a service at the limit": days_of(500.0, usual_ms=500.0),
    "refusals as ever": refused((10, 10, 12, 10, 10)),
    "few refusals": refused((0, 0, 9, 0, 0)),
    "a call in a hundred refused": errors(422, 10, 990),
    "few refused calls": errors(422, 9, 0),
    "cards as ever": cards_on("2026-11-04", 20, 7),
    "a silent weekend": [decision(day) for day in ("2026-11-05", "2026-11-06", "2026-11-09") for _ in range(20)],
    "cards with an answer": [decision("2026-11-02", cards=[card(f"u{n}")]) for n in range(50)] + [answer("2026-11-02", "u1", "accepted")],
}  # fmt: skip


@pytest.mark.parametrize(("lines", "says"), STANDS_OUT.values(), ids=STANDS_OUT)
def test_it_stands_out(reported, lines, says):
    figures, found = reported(lines)
    assert says in [one.says for one in found]
    assert all(one.where in figures for one in found)


@pytest.mark.parametrize("lines", UNREMARKABLE.values(), ids=UNREMARKABLE)
def test_it_does_not(reported, lines):
    _, found = reported(lines)
    assert found == []


def test_a_slow_day_names_the_fhir_server_that_was_slow_too(reported):
    slow = [fetch(day, durationMs=300.0 if day == "2026-11-04" else 20.0) for day in DAYS]
    _, [found] = reported([*days_of(300.0), *slow])
    assert found.more == (
        "Searches of the FHIR server of north were slow too: p95 300 ms, on the other days 20 ms."
    )
    _, [alone] = reported([*days_of(300.0), *(fetch(day) for day in DAYS)])
    assert alone.more == "Searches of FHIR servers do not explain it."
    _, [unknown] = reported(days_of(300.0))  # as from records, which hold no searches
    assert unknown.more == "Whether searches of FHIR servers were slow too is not known."


def test_the_reason_that_is_given_most_often_is_said(reported):
    _, [found] = reported(answered(25, 0))
    assert found.more == "Reason given most often: patient-refuses (25)."


def test_many_findings_of_one_rule_are_few_lines(reported):
    lines = []
    for number in range(7):
        for one in answered(20 + number, 0, topic=f"topic{number}"):
            text = {**one}
            for shown in text.get("cards", []):
                shown["uuid"] += f"-{number}"
            for said in text.get("outcomes", []):
                said["card"] += f"-{number}"
            lines.append(text)
    _, found = reported(lines)
    assert [one.says for one in found][:2] == [
        "topic6 is overridden 26 of 26 times (100 %)",
        "topic5 is overridden 25 of 25 times (100 %)",
    ]
    assert len(found) == 4
    assert found[-1].says == "4 more like that"
    assert "topic0 (100 %)" in found[-1].more


def test_problems_come_first(reported):
    new = [decision("2026-11-02"), decision("2026-11-03", knowledge=KNOWLEDGE)]
    _, found = reported(new + errors(500, 1, 5))
    assert [one.problem for one in found] == [True, False]
