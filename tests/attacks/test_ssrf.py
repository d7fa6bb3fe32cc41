"""Requests that would make the service connect where it must not: no byte leaves."""

import socket
from contextlib import suppress

import pytest
from token_issuers import Issuer, Key, place

from cds_hooks.config.tenants import FhirAccess
from cds_hooks.fhir.client import FhirClient
from cds_hooks.protocol.errors import InvalidRequestError
from cds_hooks.protocol.hook_request import read_request
from cds_hooks.protocol.prefetch import PrefetchState, read_prefetch
from cds_hooks.security.key_sets import FetchedKeys, KeysUnavailableError

SERVER = "https://ehr.example.org/fhir"
TEMPLATES = {"observations": "Observation?patient={{context.patientId}}"}
PUBLIC = "93.184.216.34"


def call(server, prefetch=None):
    return read_request(
        {
            "hook": "patient-view",
            "hookInstance": "i",
            "context": {"patientId": "1"},
            "fhirServer": server,
            "fhirAuthorization": {"access_token": "secret-token", "scope": "user/*.rs"},
            "prefetch": prefetch or {},
        },
        "patient-view",
    )


def asked(client, server, prefetch=None):
    request = call(server, prefetch)
    answers, fetches = client.complete_answers(
        request, read_prefetch(request, TEMPLATES), TEMPLATES
    )
    return answers["observations"], [fetch.reason for fetch in fetches]


@pytest.fixture
def client():
    made = FhirClient(FhirAccess(servers=(SERVER,), deadline_ms=1000))
    yield made
    made.close()


@pytest.fixture
def connections(monkeypatch):
    """Every address that a connection is tried to; none is made."""
    tried = []

    def connect(_self, address):
        tried.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    return tried


@pytest.fixture
def names(monkeypatch):
    """What the name server says, one answer after the other, the last for ever."""
    answers = []

    def getaddrinfo(host, port, *_args, **_options):
        if host.replace(".", "").isdecimal() or ":" in host:
            address = host  # an address leads to itself
        elif len(answers) > 1:
            address = answers.pop(0)
        else:
            address = answers[0]
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        place = (address, port, 0, 0) if family == socket.AF_INET6 else (address, port)
        return [(family, socket.SOCK_STREAM, 6, "", place)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return answers


ELSEWHERE = [
    "https://evil.example/fhir",
    "https://ehr.example.org.evil.example/fhir",
    "https://evil.example/https://ehr.example.org/fhir",
    "https://ehr.example.org@evil.example/fhir",
    "https://evil.example@ehr.example.org/fhir",
    "https://user:secret@ehr.example.org/fhir",
    "https://ehr.example.org:8443/fhir",
    "https://ehr.example.org:443/fhir",
    "https://ehr.example.org:/fhir",
    "https://EHR.example.org/fhir",
    "https://ehr.example.org./fhir",
    "https://ehr.example.org/fhir2",
    "https://ehr.example.org/fhir/../admin",
    "https://ehr.example.org/fhir/%2e%2e/admin",
    "https://ehr.example.org/fhir?x=",
    "https://ehr.example.org/fhir#",
    "https://ehr.example.org\\@evil.example/fhir",
    "https://ehr.example.org%2f@evil.example/fhir",
    "https://ehr\u3002example.org/fhir",
    "https://\u212fhr.example.org/fhir",
    "http://ehr.example.org/fhir",
    "ftp://ehr.example.org/fhir",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_x",
    "data:application/json,{}",
    "//evil.example/fhir",
    "evil.example",
    "https://",
    "http://127.0.0.1/fhir",
    "http://localhost/fhir",
    "http://2130706433/fhir",
    "http://0x7f000001/fhir",
    "http://0177.0.0.1/fhir",
    "http://127.1/fhir",
    "http://0/fhir",
    "http://[::1]/fhir",
    "http://[::ffff:127.0.0.1]/fhir",
    "http://[0:0:0:0:0:ffff:7f00:1]/fhir",
    "http://[::]/fhir",
    "http://[fe80::1%25eth0]/fhir",
    "https://169.254.169.254/latest/meta-data",
    "https://[fd00:ec2::254]/latest/meta-data",
    "https://metadata.google.internal/computeMetadata/v1",
]


@pytest.mark.parametrize("server", ELSEWHERE)
def test_no_server_but_the_tenants_is_asked(client, connections, names, server):
    names.append(PUBLIC)
    answer, reasons = asked(client, server)
    assert connections == []
    assert reasons == []
    assert answer.state is PrefetchState.LEFT_OUT


PRIVATE = [
    *("127.0.0.1", "127.8.8.8", "10.0.0.5", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
    *("100.64.0.1", "0.0.0.0", "192.0.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1"),
    *("255.255.255.255", "::1", "::", "fe80::1", "fd00::1", "fd00:ec2::254", "ff02::1"),
    *("::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::a00:1", "2002:7f00:1::", "2001:db8::1"),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_that_leads_inside_is_not_followed(client, connections, names, address):
    """The tenant's own server name, answered by a name server that somebody has poisoned."""
    names.append(address)
    answer, reasons = asked(client, SERVER)
    assert connections == []
    assert reasons == ["private-address"]
    assert answer.state is PrefetchState.FAILED


@pytest.mark.parametrize("address", PRIVATE)
def test_keys_are_not_fetched_from_inside_either(connections, names, address):
    names.append(address)
    told = []
    keys = FetchedKeys("https://ehr.example.org/jwks.json", told.append)
    with pytest.raises(KeysUnavailableError):
        keys.find_key("k", "ES384")
    assert connections == []
    assert told == ["InvalidIPAddress"]


def test_a_site_may_have_its_server_inside(connections, names):
    names.append("10.0.0.5")
    client = FhirClient(FhirAccess(servers=(SERVER,), private_addresses=True, deadline_ms=1000))
    _answer, reasons = asked(client, SERVER)
    client.close()
    assert {address[:2] for address in connections} == {("10.0.0.5", 443)}
    assert reasons == ["connection"]


def test_the_connection_goes_to_the_address_that_was_judged(client, connections, names):
    """A name server that answers otherwise the second time changes nothing."""
    names += [PUBLIC, "127.0.0.1"]
    _answer, reasons = asked(client, SERVER)
    assert {address[:2] for address in connections} == {(PUBLIC, 443)}
    assert reasons == ["connection"]


@pytest.fixture
def ehr():
    with place() as made:
        yield made


@pytest.fixture
def evil():
    """Somebody else's server, which must never hear of us."""
    with place() as made:
        made.answer = {
            "resourceType": "Bundle",
            "entry": [{"resource": {"resourceType": "Observation", "id": "evil"}}],
        }
        yield made


def of(ehr):
    return FhirClient(FhirAccess(servers=(f"{ehr.base}/fhir",), deadline_ms=1000))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("path", ["/fhir/Observation", "@same", "//{host}/x"])
def test_no_redirect_is_followed(ehr, evil, status, path):
    ehr.status = status
    target = f"{ehr.base}/fhir/other" if path == "@same" else path.replace("{host}", evil.base[7:])
    if path.startswith("/fhir"):
        target = f"{evil.base}{path}"
    ehr.headers = {"Location": target}
    client = of(ehr)
    answer, reasons = asked(client, f"{ehr.base}/fhir")
    client.close()
    assert reasons == [f"status-{status}"]
    assert answer.state is PrefetchState.FAILED
    assert evil.paths == []
    assert len(ehr.paths) == 1


NEXT = [
    "{evil}/fhir/Observation?page=2",
    "//{evil_host}/fhir/Observation",
    "http://{ehr_host}@{evil_host}/fhir/Observation",
    "http://{ehr_host}\\@{evil_host}/fhir/Observation",
    "http://{ehr_host}:secret@{evil_host}/fhir/Observation",
    "{ehr}/admin",
    "{ehr}/fhir/../admin",
    "{ehr}/fhir/%2e%2e/admin",
    "{ehr}/fhir/%2E%2E%2fadmin",
    "{ehr}/fhir/..%5cadmin",
    "../admin",
    "/admin",
    "{ehr}/fhirx/Observation",
    "https://{ehr_host}/fhir/Observation",
    "http://localhost:{ehr_port}/fhir/Observation",
    "http://127.1:{ehr_port}/fhir/Observation",
    "http://[::ffff:127.0.0.1]:{ehr_port}/fhir/Observation",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "",
]


@pytest.mark.parametrize("prefetched", [False, True], ids=["fetched", "prefetched"])
@pytest.mark.parametrize("following", NEXT)
def test_no_next_page_leads_elsewhere(ehr, evil, following, prefetched):
    """In what the server answers, and in what a client sent as prefetch."""
    port = ehr.base.rpartition(":")[2]
    url = following.format(
        ehr=ehr.base, evil=evil.base, ehr_host=ehr.base[7:], evil_host=evil.base[7:], ehr_port=port
    )
    page = {
        "resourceType": "Bundle",
        "entry": [{"resource": {"resourceType": "Observation", "id": "o"}}],
        "link": [{"relation": "next", "url": url}],
    }
    ehr.answer = page
    client = of(ehr)
    answer, _reasons = asked(
        client, f"{ehr.base}/fhir", {"observations": page} if prefetched else None
    )
    client.close()
    assert evil.paths == []
    assert ehr.paths == ([] if prefetched else ["/fhir/Observation?patient=1"])
    assert [resource["id"] for resource in answer.resources] == ["o"]
    assert answer.is_complete == (url == "")


@pytest.mark.parametrize(
    "patient", ["1&_has=x", "../Patient", "1?x", "1#", "a b", "%2e%2e", "1/../../admin", "\u0000"]
)
def test_an_id_stays_one_value_of_the_query(ehr, patient):
    request = {
        "hook": "patient-view",
        "hookInstance": "i",
        "context": {"patientId": patient},
        "fhirServer": f"{ehr.base}/fhir",
    }
    client = of(ehr)
    with suppress(InvalidRequestError):  # what cannot be an id is refused already
        read_it = read_request(request, "patient-view")
        client.complete_answers(read_it, read_prefetch(read_it, TEMPLATES), TEMPLATES)
    client.close()
    assert len(ehr.paths) <= 1
    for path in ehr.paths:
        assert path.startswith("/fhir/Observation?patient=")
        assert not set(path.partition("patient=")[2]) & set("&/?# ")


def test_a_key_set_is_fetched_from_where_it_is_named_alone(evil):
    """No redirect, and no key address out of the key set itself."""
    with place() as ehr:
        ehr.answer = {
            "keys": [{**Key().jwk, "x5u": f"{evil.base}/x"}],
            "jwks_uri": f"{evil.base}/jwks",
        }
        keys = FetchedKeys(f"{ehr.base}/jwks.json", lambda _reason: None)
        assert keys.find_key("none", "ES384") is None
        ehr.answer = Issuer("x").jwks
        assert evil.paths == []
        assert ehr.paths == ["/jwks.json"]
