"""Attention halves the interruptions, and nobody is kept from what is urgent."""

from pathlib import Path

import orjson
import pytest
from conformance.serving import log_faults

from simulation.fortnight import Hospital, simulate

pytestmark = pytest.mark.slow

README = Path(__file__).parents[2] / "README.md"


def test_a_fortnight_with_and_without_attention():
    (_, off), (_, on) = simulate()
    assert off.calls == on.calls >= 2000
    assert on.missed == []
    assert on.critical > 0
    assert on.cards < off.cards / 2
    figures = [f"{100 * tally.cards / tally.calls:.1f}" for tally in (off, on)]
    if README.exists():
        said = README.read_text(encoding="utf-8")
        assert f"{figures[0]} cards per 100 calls without attention, {figures[1]} with it" in said


def test_the_audit_sees_what_is_withheld(tmp_path):
    """With urgent findings snoozed like any other, it must complain."""
    hospital = Hospital({"urgent_snooze_days": 3650}, 7, 60, tmp_path)
    assert hospital.run(600).missed
    lines = (orjson.loads(orjson.dumps(line)) for line in hospital.log)
    assert log_faults(lines) == []
