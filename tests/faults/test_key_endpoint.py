"""Where an EHR publishes its keys: down, silent, or saying something else."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from served_process import running
from tables import cases
from token_issuers import Issuer, Key

from faults.conftest import BASE
from faults.fhir_faults import SECRET, faulty_server
from faults.load import PATH, body

A_WHILE = 10  # seconds; a fetch is given up after 3
ENDPOINTS = {
    "Silent": "hangs",
    "Html": "sends HTML",
    "Noise": "sends noise",
    "Broken": "sends half",
    "Endless": "sends without end",
    "Elsewhere": "sends 302",
    "Failing": "sends 500",
    "Dripping": "drips the headers",
    "Well": "",
    "Later": "",
}


@pytest.fixture(scope="module")
def endpoints():
    with faulty_server() as server:
        server.behaviours = {kind: how for kind, how in ENDPOINTS.items() if how}
        yield server


@pytest.fixture(scope="module")
def issuers(endpoints):
    made = {}
    for kind in (*ENDPOINTS, "Gone"):
        made[kind] = Issuer(f"https://{kind.lower()}.example/")
        endpoints.well[kind] = json.dumps(made[kind].jwks).encode()
    return made


@pytest.fixture(scope="module")
def service(endpoints, issuers, tmp_path_factory):
    tables = [f'[server]\nbase_url = "{BASE}"\n']
    for kind, issuer in issuers.items():
        base = "http://127.0.0.1:9/fhir" if kind == "Gone" else endpoints.base
        tables.append(
            f'[[tenant]]\nid = "{kind.lower()}"\nissuer = "{issuer.iss}"\njwks_url = "{base}/{kind}"\n'
        )
    with running(tmp_path_factory.mktemp("keys"), "".join(tables)) as one:
        yield one


def call(service, token):
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return requests.post(f"{service.base}{PATH}", body(), headers=headers, timeout=60)


def reasons(service, tenant):
    """Why its keys could not be had, and why its caller was refused."""
    fetched = [one["reason"] for one in service.lines("fetch") if one["tenant"] == tenant]
    refused = [one["reason"] for one in service.lines("auth-refused") if one["tenant"] == tenant]
    return fetched, refused


@cases("""
    endpoint  | status | of the fetch              | of the refusal
    ----------|--------|---------------------------|-----------------
    Well      | 200    | ok                        |
    Gone      | 401    | ConnectionError           | keys-unavailable
    Silent    | 401    | too-slow                  | keys-unavailable
    Html      | 401    | not JSON                  | keys-unavailable
    Noise     | 401    | ConnectionError           | keys-unavailable
    Broken    | 401    | not JSON                  | keys-unavailable
    Endless   | 401    | too-large                 | keys-unavailable
    Elsewhere | 401    | status-302                | keys-unavailable
    Failing   | 401    | status-500                | keys-unavailable
    Dripping  | 401    | too-slow                  | keys-unavailable
""")
def test_a_call_whose_key_has_to_be_fetched_first(service, issuers, case):
    kind = case["endpoint"]
    began = time.monotonic()
    answered = call(service, issuers[kind].token(f"{BASE}{PATH}"))
    assert time.monotonic() - began < A_WHILE
    fetched, refused = reasons(service, kind.lower())
    assert answered.status_code == int(case["status"])
    assert len(fetched) == 1
    assert fetched[0].startswith(case["of the fetch"])
    assert refused == ([case["of the refusal"]] if case["of the refusal"] else [])
    assert SECRET not in service.log.read_bytes() + service.errors.read_bytes() + answered.content


def test_keys_that_are_known_stay_good_when_the_endpoint_goes_down(service, endpoints, issuers):
    issuer = issuers["Later"]
    assert call(service, issuer.token(f"{BASE}{PATH}")).status_code == 200
    endpoints.behaviours["Later"] = "hangs"
    stranger = Key()
    assert call(service, issuer.token(f"{BASE}{PATH}", key=stranger)).status_code == 401
    assert call(service, issuer.token(f"{BASE}{PATH}")).status_code == 200
    assert reasons(service, "later")[1] == ["unknown-key"]


def test_other_tenants_are_served_while_an_endpoint_hangs(service, endpoints, issuers):
    """Known keys of a tenant are used while a thread waits for its unknown one."""
    with ThreadPoolExecutor(8) as threads:
        waiting = [
            threads.submit(call, service, issuers["Silent"].token(f"{BASE}{PATH}"))
            for _ in range(8)
        ]
        began = time.monotonic()
        assert call(service, issuers["Well"].token(f"{BASE}{PATH}")).status_code == 200
        took = time.monotonic() - began
        assert {one.result().status_code for one in waiting} == {401}
    assert took < 2.5
