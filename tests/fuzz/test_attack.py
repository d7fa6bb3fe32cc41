"""Broken requests by the thousand; tens of thousands by `python -m fuzz.attack`."""

import pytest
from postgresql import running_postgresql

from fuzz.attack import MEBIBYTE, attack, still_answers
from fuzz.cases import Cases
from fuzz.served import served

SEED = 20261125
GROWTH = 20 * MEBIBYTE  # of a worker that holds about 120 MiB


def assert_unharmed(service, report):
    print(report)
    assert not report.faults, "\n".join(report.faults[:3])
    assert report.grown < GROWTH, report
    assert still_answers(service)
    assert "Traceback" not in service.log.with_name("errors").read_text(errors="replace")


def test_broken_requests_get_clear_answers(opened):
    report = attack(opened, SEED, 6000)
    assert_unharmed(opened, report)
    assert {"200", "204", "400", "404", "405", "412", "415", "422"} <= set(report.statuses)


def test_broken_requests_behind_tokens_get_clear_answers(guarded):
    report = attack(guarded, SEED + 1, 4000)
    assert_unharmed(guarded, report)
    assert {"200", "204", "400", "401", "404", "412", "422"} <= set(report.statuses)


def test_broken_requests_leave_postgresql_in_order(tmp_path):
    with (
        running_postgresql() as url,
        served(tmp_path, tenants=True, records=url) as service,
    ):
        assert_unharmed(service, attack(service, SEED + 2, 1000))


@pytest.mark.parametrize("number", [0, 7, 999])
def test_a_case_is_made_of_seed_and_number_alone(number):
    one, other = Cases(SEED), Cases(SEED)
    other.of(3)
    assert one.of(number).pieces == other.of(number).pieces
    assert one.of(number).pieces != Cases(SEED + 1).of(number).pieces
