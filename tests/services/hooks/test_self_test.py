"""Golden calls: they hold for what ships, cover every order rule, and notice what is broken."""

from dataclasses import replace

import pytest
from patients import known

from cds_hooks.config.tenants import LOCAL_TENANT, Tenant
from mappings.actions.order_rules import read_order_rules
from services.hooks.catalog import load_tenant_knowledge
from services.hooks.self_test import find_failed_calls, has_own_rules, read_golden

GUIDELINES = ("uk-ng239", "us-aafp2025", "us-aafp2017", "bsh2014", "who")
DEFINITIONS = ("ewgsop2-2019", "awgs-2019", "sdoc-2020", "fnih-2014")


@pytest.mark.parametrize("definition", DEFINITIONS)
@pytest.mark.parametrize("guideline", GUIDELINES)
def test_golden_calls_hold_whatever_a_site_chooses(guideline, definition):
    assert find_failed_calls([LOCAL_TENANT], {"local": known(guideline, definition)}) == ()


def test_every_order_rule_has_a_golden_call():
    topics = [topic for topics in read_golden("golden/topics").values() for topic in topics]
    for rule in read_order_rules():
        assert f"order{''.join(part.capitalize() for part in rule.split('-'))}" in topics


def test_cards_in_another_language_are_the_same_cards():
    tenant = Tenant("north", service_tables={"language": {"code": "de"}})
    assert find_failed_calls([tenant], load_tenant_knowledge([tenant])) == ()


def test_a_rule_that_falls_silent_is_noticed(monkeypatch):
    from services.evaluation import order_rules

    silent = {**order_rules.RULES, "leber": lambda _session: iter(())}
    monkeypatch.setattr(order_rules, "RULES", silent)
    assert find_failed_calls([LOCAL_TENANT], {"local": known()}) == ("golden/leber",)


def test_a_limit_that_moved_is_noticed():
    knows = known()
    nothing = replace(knows.b12.guideline, cutoffs=())
    broken = replace(knows, b12=replace(knows.b12, guideline=nothing))
    found = find_failed_calls([LOCAL_TENANT], {"local": broken})
    assert "samples/neuropathy" in found


def test_a_site_with_its_own_policy_has_to_be_answered_and_no_more():
    tenant = Tenant("north", service_tables={"policy": {"pending_order_days": 0.5}})
    assert has_own_rules(tenant)
    assert not has_own_rules(Tenant("south", service_tables={"b12": {"guideline": "who"}}))
    knows = load_tenant_knowledge([tenant])
    assert find_failed_calls([tenant], knows) == ()
    assert find_failed_calls([LOCAL_TENANT], {"local": knows["north"]}) == (
        "golden/duplicate-test",
    )
