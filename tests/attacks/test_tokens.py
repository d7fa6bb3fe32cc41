"""Tokens that must not open the door: one answer for all of them, and the reason in the log."""

import json
import statistics
import time
from contextlib import nullcontext
from pathlib import Path

import jwt
import pytest
from attacks.conftest import BASE, CALL, DISCOVERY
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tables import cases
from token_issuers import Issuer, Key, part, place, signed

from cds_hooks.config.tenants import TokenTrust
from cds_hooks.security.key_sets import read_usable_keys
from cds_hooks.security.token_checks import (
    AuthenticationError,
    Token,
    TokenExpectation,
    check_signature,
    check_token,
    read_token,
)

NORTH_JKU = "https://ehr.north.example/.well-known/jwks.json"
STRANGER = Key("ES384")
NOW = int(time.time())


def head(issuer, **members):
    return {"alg": "ES384", "typ": "JWT", "kid": issuer.keys[0].kid, **members}


def body(**members):
    return {
        "iss": "https://ehr.north.example/",
        "aud": DISCOVERY,
        "iat": NOW,
        "exp": NOW + 300,
        "jti": "j",
        **members,
    }


def hmac_signed(issuer, secret, algorithm="HS256"):
    """What an attacker makes of a public key, hoping that it is taken for a shared secret."""
    import base64
    import hashlib
    import hmac

    message = f"{part(head(issuer, alg=algorithm))}.{part(body())}"
    kind = {"HS256": hashlib.sha256, "HS384": hashlib.sha384}[algorithm]
    mac = hmac.digest(secret, message.encode(), kind)
    return f"{message}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def pem(key):
    return key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def raw(header, claims, key):
    """Parts as they are written here, rightly signed."""
    message = f"{part(header)}.{part(claims)}"
    return f"{message}.{part(key.signature(message.encode()))}"


def changed_signature(token, change):
    message, _, signature = token.rpartition(".")
    return f"{message}.{change(signature)}"


def ok(hospital, **options):
    return hospital.north.token(DISCOVERY, **options)


def soon(seconds):
    """Seconds from the moment of the call: those of a few seconds' leeway may not start earlier."""
    return int(time.time()) + seconds


def with_claims(**claims):
    return lambda h: ok(h, claims=claims)


def with_header(**header):
    return lambda h: ok(h, header=header)


def without(name):
    return lambda h: ok(h, without=(name,))


TOKENS = {
    # the header
    "no algorithm": (lambda h: f"{part(head(h.north, alg='none'))}.{part(body())}.", "malformed"),
    "alg none, with a signature": (with_header(alg="none"), "algorithm"),
    "alg nOnE": (with_header(alg="nOnE"), "algorithm"),
    "alg empty": (with_header(alg=""), "algorithm"),
    "alg null": (with_header(alg=None), "algorithm"),
    "alg a list": (with_header(alg=["ES384"]), "algorithm"),
    "alg missing": (without("alg"), "algorithm"),
    "HS256 with the public key": (
        lambda h: hmac_signed(h.north, pem(h.north.keys[0])),
        "algorithm",
    ),
    "HS384 with the public JWK": (
        lambda h: hmac_signed(h.north, json.dumps(h.north.keys[0].jwk).encode(), "HS384"),
        "algorithm",
    ),
    "RS256, which is not agreed": (with_header(alg="RS256"), "algorithm"),
    "ES256 said of an ES384 key": (with_header(alg="ES256"), "algorithm"),
    "RS384 said of an ES384 key": (with_header(alg="RS384"), "unknown-key"),
    "kid out of the folder": (with_header(kid="../../../../etc/passwd"), "unknown-key"),
    "kid with SQL": (with_header(kid="' OR 1=1 --"), "unknown-key"),
    "kid of another hospital": (
        lambda h: ok(h, header={"kid": h.south.keys[0].kid}),
        "unknown-key",
    ),
    "kid missing": (without("kid"), "kid"),
    "kid a number": (with_header(kid=1), "kid"),
    "kid empty": (with_header(kid=""), "kid"),
    "kid endless": (with_header(kid="k" * 300), "kid"),
    "jku elsewhere": (with_header(jku="https://evil.example/jwks.json"), "jku"),
    "jku behind a user": (with_header(jku=f"{NORTH_JKU}@evil.example/"), "jku"),
    "jku with another case": (with_header(jku=NORTH_JKU.upper()), "jku"),
    "jku below the right one": (with_header(jku=f"{NORTH_JKU}/../evil"), "jku"),
    "jku a list": (with_header(jku=[NORTH_JKU]), "jku"),
    "jku null": (with_header(jku=None), "jku"),
    "own key in the header": (
        lambda h: ok(h, key=STRANGER, header={"jwk": STRANGER.jwk, "kid": h.north.keys[0].kid}),
        "signature",
    ),
    "certificate URL in the header": (
        lambda h: ok(h, key=STRANGER, header={"x5u": "https://evil.example/c.pem"}),
        "unknown-key",
    ),
    "typ missing": (without("typ"), "typ"),
    "typ of something else": (with_header(typ="at+jwt"), "typ"),
    "typ a number": (with_header(typ=1), "typ"),
    "crit": (with_header(crit=["exp"]), "crit"),
    "unencoded payload": (with_header(b64=False), "crit"),
    # who
    "iss missing": (without("iss"), "issuer"),
    "iss of nobody": (with_claims(iss="https://evil.example/"), "issuer"),
    "iss without its slash": (with_claims(iss="https://ehr.north.example"), "issuer"),
    "iss a list": (with_claims(iss=["https://ehr.north.example/"]), "issuer"),
    "iss an object": (with_claims(iss={"a": 1}), "issuer"),
    "north's key for south": (
        with_claims(iss="https://ehr.south.example/", tenant="south-1"),
        "unknown-key",
    ),
    "a tenant where none is agreed": (with_claims(tenant="south-1"), "tenant"),
    "a tenant that is not there": (
        lambda h: h.south.token(DISCOVERY, claims={"tenant": "south-9"}),
        "tenant",
    ),
    "no tenant where one is agreed": (
        lambda h: h.south.token(DISCOVERY, without=("tenant",)),
        "tenant",
    ),
    "tenant a list": (lambda h: h.south.token(DISCOVERY, claims={"tenant": ["south-1"]}), "tenant"),
    "certificate missing": (
        lambda h: h.south.token(
            DISCOVERY, claims={"iss": "https://ehr.east.example/"}, without=("tenant",)
        ),
        "certificate",
    ),
    # for whom
    "aud missing": (without("aud"), "aud-shape"),
    "aud of another endpoint": (with_claims(aud=CALL), "aud"),
    "aud of another service": (with_claims(aud="https://evil.example/cds-services"), "aud"),
    "aud a beginning": (with_claims(aud=BASE), "aud"),
    "aud longer": (with_claims(aud=f"{DISCOVERY}.evil.example"), "aud"),
    "aud with a slash": (with_claims(aud=f"{DISCOVERY}/"), "aud"),
    "aud with a port": (with_claims(aud="https://cds.example.org:443/cds-services"), "aud"),
    "aud over http": (with_claims(aud="http://cds.example.org/cds-services"), "aud"),
    "aud of the Host header": (with_claims(aud="http://localhost/cds-services"), "aud"),
    "aud empty": (with_claims(aud=""), "aud"),
    "aud no one": (with_claims(aud=[]), "aud-shape"),
    "aud with a number beside": (with_claims(aud=[DISCOVERY, 1]), "aud-shape"),
    "aud an object": (with_claims(aud={DISCOVERY: DISCOVERY}), "aud-shape"),
    "aud a crowd": (with_claims(aud=[DISCOVERY] * 17), "aud-shape"),
    # when
    "exp missing": (without("exp"), "exp"),
    "exp a text": (with_claims(exp=str(NOW + 300)), "exp"),
    "exp true": (with_claims(exp=True), "exp"),
    "exp beyond all dates": (with_claims(exp=10**15), "exp"),
    "exp negative": (with_claims(exp=-1), "exp"),
    "exp NaN": (
        lambda h: raw(head(h.north), json.dumps(body(exp=float("nan"))).encode(), h.north.keys[0]),
        "malformed",
    ),
    "exp infinite": (lambda h: raw(head(h.north), b'{"exp":1e999}', h.north.keys[0]), "malformed"),
    "expired": (lambda h: ok(h, now=NOW - 3600), "expired"),
    "iat missing": (without("iat"), "iat"),
    "iat a list": (with_claims(iat=[NOW]), "iat"),
    "from the future": (lambda h: ok(h, now=NOW + 3600), "issued-in-future"),
    "good for a day": (with_claims(exp=NOW + 86400), "lifetime"),
    "over before it began": (
        lambda h: ok(h, claims={"iat": soon(20), "exp": soon(10)}),
        "lifetime",
    ),
    "not yet valid": (with_claims(nbf=NOW + 3600), "not-yet-valid"),
    "nbf a text": (with_claims(nbf="now"), "nbf"),
    # once
    "jti missing": (without("jti"), "jti"),
    "jti empty": (with_claims(jti=""), "jti"),
    "jti a number": (with_claims(jti=7), "jti"),
    "jti endless": (with_claims(jti="j" * 300), "jti"),
    # signed by whom
    "signed by a stranger": (
        lambda h: ok(h, key=STRANGER, header={"kid": h.north.keys[0].kid}),
        "signature",
    ),
    "an unknown key": (lambda h: ok(h, key=STRANGER), "unknown-key"),
    "signature of another token": (
        lambda h: changed_signature(ok(h), lambda _s: ok(h).rpartition(".")[2]),
        "signature",
    ),
    "signature cut": (lambda h: changed_signature(ok(h), lambda s: s[:-8]), "signature"),
    "signature longer": (lambda h: changed_signature(ok(h), lambda s: s + "AAAA"), "signature"),
    "signature of zeros": (lambda h: changed_signature(ok(h), lambda _s: "A" * 128), "signature"),
    "no signature": (lambda h: changed_signature(ok(h), lambda _s: ""), "malformed"),
    "claims changed after signing": (
        lambda h: ".".join([ok(h).split(".")[0], part(body(jti="other")), ok(h).split(".")[2]]),
        "signature",
    ),
    # what is no token
    "one part": (lambda h: "abc", "malformed"),
    "four parts": (lambda h: f"{ok(h)}.abc", "malformed"),
    "five parts, as if encrypted": (lambda h: "a.b.c.d.e", "malformed"),
    "no JSON": (lambda h: f"{part(b'x')}.{part(b'y')}.{part(b'z')}", "malformed"),
    "a list for claims": (lambda h: raw(head(h.north), b"[]", h.north.keys[0]), "malformed"),
    "a key twice": (
        lambda h: raw(
            head(h.north),
            json.dumps(body()).replace('"aud"', '"aud":"x","aud"').encode(),
            h.north.keys[0],
        ),
        "malformed",
    ),
    "padding": (lambda h: f"{part(head(h.north))}=.{part(body())}.{'A' * 128}", "malformed"),
    "too large": (with_claims(more="x" * 9000), "oversize"),
    "nested without end": (lambda h: f"{part(b'[' * 3000)}.{part(body())}.AAAA", "malformed"),
}

HEADERS = {
    "nothing": (None, "no-token"),
    "empty": ("", "scheme"),
    "another scheme": ("Basic bm9ydGg6bm9ydGg=", "scheme"),
    "the scheme alone": ("Bearer ", "scheme"),
    "two tokens": ("Bearer a.b.c d.e.f", "scheme"),
    "two headers in one": ("Bearer a.b.c,Bearer d.e.f", "scheme"),
    "no scheme": ("a.b.c", "scheme"),
    "letters of another alphabet": ("Bearer \u0430.b.c".encode().decode("latin-1"), "malformed"),
}

ATTACKS = {
    **{
        name: (lambda h, t=token: f"Bearer {t(h)}", reason)
        for name, (token, reason) in TOKENS.items()
    },
    **{name: (lambda _h, v=value: v, reason) for name, (value, reason) in HEADERS.items()},
}


def test_there_are_many_attacks():
    assert len(ATTACKS) >= 40


@pytest.mark.parametrize(("attack", "reason"), ATTACKS.values(), ids=ATTACKS.keys())
def test_all_attacks_get_the_same_answer(hospital, attack, reason):
    answer = hospital.discover(attack(hospital))
    assert answer.status_code == 401
    assert answer.json == {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "login", "details": {"text": "Unauthorized"}}],
    }
    same = {k: v for k, v in answer.headers.items() if k != "X-Request-Id"}
    assert same == {
        "Content-Type": "application/json",
        "Content-Length": str(len(answer.data)),
        "WWW-Authenticate": "Bearer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    assert hospital.reason == reason
    assert hospital.lines[-1]["event"] == "auth-refused"


@pytest.mark.parametrize(
    "path",
    [
        "/cds-services",
        "/cds-services/b12-muscle-patient-view",
        "/cds-services/nothing-here",
        "/cds-services/b12-muscle-patient-view/feedback",
    ],
)
def test_every_endpoint_asks_who_calls_before_it_reads(hospital, path):
    """A service that is not there, and a body that is none, are nobody's business either."""
    asked = hospital.client.get if path == "/cds-services" else hospital.client.post
    answer = asked(path, data=b"{ broken", content_type="application/json")
    assert answer.status_code == 401


def test_no_attack_makes_the_service_connect_anywhere(hospital, monkeypatch):
    """Every connection that Python could make is counted: there is none."""
    import socket

    tried = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: tried.append(address))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: tried.append(a))
    for attack, _reason in ATTACKS.values():
        assert hospital.discover(attack(hospital)).status_code == 401
    assert tried == []


def test_a_key_set_elsewhere_is_not_fetched(hospital):
    with place() as evil:
        evil.answer = Issuer("x", STRANGER).jwks
        for jku in (f"{evil.base}/jwks.json", f"{evil.base}/{STRANGER.kid}"):
            token = ok(hospital, key=STRANGER, header={"jku": jku})
            assert hospital.discover(f"Bearer {token}").status_code == 401
        assert evil.paths == []


def test_refusals_take_alike_long(hospital):
    """What was wrong shows in no time either: the medians of all kinds lie within one factor.

    A signature is worked out for each token that is refused, whatever else was wrong with it.
    """
    attacks = [
        "iss of nobody",
        "aud of another service",
        "expired",
        "alg none, with a signature",
        "an unknown key",
        "signed by a stranger",
        "jku elsewhere",
        "jti missing",
    ]
    prepared = {name: f"Bearer {TOKENS[name][0](hospital)}" for name in attacks}
    took = {name: [] for name in attacks}
    for _ in range(60):
        for name, authorization in prepared.items():
            began = time.thread_time()  # of the processor: other programs do not count
            hospital.discover(authorization)
            took[name].append(time.thread_time() - began)
    medians = [statistics.median(times) for times in took.values()]
    assert max(medians) < 2 * min(medians), dict(zip(attacks, medians, strict=True))


# What is in order opens the door.

GOOD = {
    "ES384": ok,
    "RS384": lambda h: ok(h, key=h.north.keys[1]),
    "with the right jku": lambda h: ok(h, header={"jku": NORTH_JKU}),
    "aud a list": lambda h: ok(h, claims={"aud": ["https://other.example/", DISCOVERY]}),
    "typ in small letters": lambda h: ok(h, header={"typ": "jwt"}),
    "times with fractions": lambda h: ok(h, claims={"iat": NOW + 0.5, "exp": NOW + 300.5}),
    "as Epic writes it": lambda h: ok(h, claims={"nbf": NOW - 300, "sub": "client-1"}),
    "from the past, within leeway": lambda h: ok(h, now=soon(-320)),
    "from the future, within leeway": lambda h: ok(h, now=NOW + 20),
    "of another hospital": lambda h: h.south.token(DISCOVERY),
}


@pytest.mark.parametrize("token", GOOD.values(), ids=GOOD.keys())
def test_what_is_in_order_is_let_in_once(hospital, token):
    authorization = f"bearer  {token(hospital)}"  # the specification's example has two spaces
    assert hospital.discover(authorization).status_code == 200
    assert hospital.discover(authorization).status_code == 401
    assert hospital.reason == "replayed"


@cases("""
    aud                                            | path                                             | let in
    -----------------------------------------------+--------------------------------------------------+-------
    /cds-services                                  | /cds-services                                    | yes
    /cds-services/b12-muscle-patient-view          | /cds-services/b12-muscle-patient-view            | yes
    /cds-services/b12-muscle-order-sign            | /cds-services/b12-muscle-patient-view            |
    /cds-services/b12-muscle-patient-view/feedback | /cds-services/b12-muscle-patient-view            |
    /cds-services/b12-muscle-patient-view/feedback | /cds-services/b12-muscle-patient-view/feedback   | yes
    /cds-services/b12-muscle-patient-view          | /cds-services/b12-muscle-patient-view/feedback   | yes
    /cds-services                                  | /cds-services/b12-muscle-patient-view/feedback   |
""")
def test_a_token_is_for_one_endpoint(hospital, case):
    authorization = {"Authorization": f"Bearer {hospital.north.token(BASE + case['aud'])}"}
    asked = hospital.client.get if case["path"] == "/cds-services" else hospital.client.post
    answer = asked(case["path"], headers=authorization, json={})
    # What is let in and is no call is told so.
    assert (answer.status_code != 401) == bool(case["let in"])


def test_where_the_service_seems_to_be_does_not_matter(hospital):
    """`aud` is compared with the configuration; the Host header is the caller's own words."""
    token = ok(hospital, claims={"aud": "https://evil.example/cds-services"})
    headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    assert hospital.discover(f"Bearer {token}", headers=headers).status_code == 401
    assert hospital.discover(f"Bearer {ok(hospital)}", headers=headers).status_code == 200


def test_the_refusal_says_nothing_of_a_stranger_in_the_log(hospital):
    hospital.discover(f"Bearer {ok(hospital, claims={'iss': 'https://secret-patient.example'})}")
    assert "secret-patient" not in str(hospital.lines[-1])
    assert "tenant" not in hospital.lines[-1]


def test_the_log_shows_which_aud_came_and_which_was_awaited(hospital):
    hospital.discover(f"Bearer {ok(hospital, claims={'aud': 'sand_man'})}")
    line = hospital.lines[-1]
    assert (line["tenant"], line["reason"]) == ("north", "aud")
    assert (line["expected"], line["received"]) == (DISCOVERY, "sand_man")


@cases("""
    address  | subject                     | let in
    ---------+-----------------------------+-------
    10.0.0.7 | CN=ehr.west.example,O=West  | yes
    10.0.0.7 | CN=ehr.west.example         |
    10.0.0.7 | CN=EHR.west.example,O=West  |
    10.0.0.8 | CN=ehr.west.example,O=West  |
    10.0.0.7 |                             |
""")
def test_a_client_certificate_counts_from_the_proxy_alone(hospital, case):
    answer = hospital.discover(
        None,
        headers={"X-Client-Subject": case["subject"]},
        environ_overrides={"REMOTE_ADDR": case["address"]},
    )
    assert (answer.status_code == 200) == bool(case["let in"])


@pytest.mark.parametrize(
    ("subject", "status"), [("CN=ehr.east.example,O=East", 200), ("CN=x", 401)]
)
def test_a_tenant_may_need_both(hospital, subject, status):
    token = hospital.south.token(
        DISCOVERY, claims={"iss": "https://ehr.east.example/"}, without=("tenant",)
    )
    answer = hospital.discover(
        f"Bearer {token}",
        headers={"X-Client-Subject": subject},
        environ_overrides={"REMOTE_ADDR": "10.0.0.7"},
    )
    assert answer.status_code == status


KNOWN = json.loads((Path(__file__).parent / "known_tokens.json").read_text())


@pytest.mark.parametrize("name", KNOWN)
def test_published_tokens_are_read_as_their_publishers_meant_them(name):
    """The specification's own example, and a token by the sandbox's published key."""
    known = KNOWN[name]
    trust = TokenTrust(
        known["issuer"], known["audience"], known["jku"], claim=known["claim"], max_lifetime_s=10**9
    )
    token = read_token(known["token"])
    check_token(
        token, TokenExpectation(trust, [known["audience"] + known["path"]], known["within"])
    )
    key = read_usable_keys(known["jwks"])[token.header["kid"], "ES384"]
    check_signature(token, key, "ES384")
    altered = read_token(changed_signature(known["token"], lambda s: s[:-4] + "AAAA"))
    with pytest.raises(AuthenticationError, match="signature"):
        check_signature(altered, key, "ES384")


def test_the_example_of_the_specification_is_long_over_and_lives_too_long():
    known = KNOWN["specification"]
    token = read_token(known["token"])
    trust = TokenTrust(known["issuer"], known["audience"], known["jku"], claim=known["claim"])
    audiences = [known["audience"] + known["path"]]
    with pytest.raises(AuthenticationError, match="expired"):
        check_token(token, TokenExpectation(trust, audiences, time.time()))
    with pytest.raises(AuthenticationError, match="lifetime"):
        check_token(token, TokenExpectation(trust, audiences, known["within"]))


def plain(**claims):
    """A token of the second 1000, unsigned."""
    header = {"alg": "ES384", "typ": "JWT", "kid": "k"}
    return Token("", header, {"aud": DISCOVERY, "iat": 1000, "jti": "j", **claims})


@cases("""
    moment | leeway | reason
    -------+--------+-----------------
    -31    | 30     | issued-in-future
    -30    | 30     |
    0      | 30     |
    329    | 30     |
    330    | 30     | expired
    -1     | 0      | issued-in-future
    0      | 0      |
    299    | 0      |
    300    | 0      | expired
""")
def test_the_edges_of_a_lifetime(case):
    """Seconds after the token was issued, for 300 seconds."""
    trust = TokenTrust("i", BASE, leeway_s=int(case["leeway"]))
    token = plain(exp=1300)
    try:
        check_token(token, TokenExpectation(trust, [DISCOVERY], 1000 + int(case["moment"])))
        reason = ""
    except AuthenticationError as refused:
        reason = refused.reason
    assert reason == case["reason"]


@cases("""
    lifetime | longest | let in
    ---------+---------+-------
    600      | 600     | yes
    601      | 600     |
    0        | 600     |
    1        | 600     | yes
""")
def test_the_edges_of_how_long_a_token_may_live(case):
    trust = TokenTrust("i", BASE, max_lifetime_s=int(case["longest"]))
    token = plain(exp=1000 + int(case["lifetime"]))
    refused = (
        nullcontext() if case["let in"] else pytest.raises(AuthenticationError, match="lifetime")
    )
    with refused:
        check_token(token, TokenExpectation(trust, [DISCOVERY], 1000))


WEAK = Key("RS384", "weak", bits=1024)
SETS = {
    "not a set": (["x"], None),
    "too many keys": ({"keys": [{}] * 101}, None),
    "a symmetric key": (
        {"keys": [{"kty": "oct", "kid": "a", "k": "c2VjcmV0", "alg": "HS256"}]},
        set(),
    ),
    "a key for encryption": ({"keys": [{**STRANGER.jwk, "use": "enc"}]}, set()),
    "a key without an id": (
        {"keys": [{n: v for n, v in STRANGER.jwk.items() if n != "kid"}]},
        set(),
    ),
    "a short RSA key": ({"keys": [WEAK.jwk]}, set()),
    "a point off the curve": ({"keys": [{**STRANGER.jwk, "y": STRANGER.jwk["x"]}]}, set()),
    "two keys with one id": ({"keys": [STRANGER.jwk, Key("ES384", STRANGER.kid).jwk]}, set()),
    "one among rubbish": (
        {"keys": [1, {}, {"kty": "EC", "kid": "b"}, STRANGER.jwk]},
        {(STRANGER.kid, "ES384")},
    ),
    "a key for any algorithm of its kind": (
        {"keys": [{n: v for n, v in Key("RS384", "rsa").jwk.items() if n != "alg"}]},
        {("rsa", "RS384"), ("rsa", "RS256")},
    ),
}


@pytest.mark.parametrize(("document", "usable"), SETS.values(), ids=SETS.keys())
def test_which_keys_of_a_set_count(document, usable):
    if usable is None:
        with pytest.raises(ValueError, match="no key set"):
            read_usable_keys(document)
    else:
        assert set(read_usable_keys(document)) == usable


def test_a_private_key_in_a_set_is_used_as_a_public_one():
    """Some publish the whole pair by mistake; what is kept of it is the public half."""
    document = jwt.get_algorithm_by_name("ES384").to_jwk(STRANGER.private, as_dict=True)
    [key] = read_usable_keys({"keys": [{**document, "kid": "k"}]}).values()
    assert not hasattr(key, "sign")


def test_a_token_signed_rightly_by_hand_is_let_in(hospital):
    """So that the attacks made by hand fail for what they change, not for how they are made."""
    token = signed(hospital.north.keys[0], head(hospital.north), body(jti="by-hand"))
    assert hospital.discover(f"Bearer {token}").status_code == 200
