"""What nobody should send: values, addresses, headers, methods, paths."""

from typing import Any

from conformance.test_mutations import JUNK

ODD = [
    *JUNK, 1e-320, -0.0, 2**63, 2**64, -(2**63) - 1, 1.7976931348623157e308, "\u202e", "\ufeff",
    "\x7f\x80", "e\u0301" * 99, "\U0001f9ec" * 64, "{{context.patientId}}", "%00", "../..", "'; --",
    "2026-02-30T25:61:61+99:99", "2026", "-2026-01-01", "NaN", "1e999", [[[[]]]] * 3, [{}] * 40,
    {"resourceType": "Bundle", "link": [{"relation": "next", "url": "http://["}]},
    {"resourceType": "Bundle", "link": [{"relation": "next", "url": "//[::1"}]},
    {"resourceType": "Bundle", "link": [{"relation": "next", "url": "Observation?\x00"}]},
    {"resourceType": "Bundle", "entry": {"resource": {"resourceType": "Observation"}}},
    {"resource": {"resourceType": "Patient", "id": "sample-1"}}, {"": {"": ""}},
]  # fmt: skip
SERVERS = [
    "http://127.0.0.1:1", "http://127.0.0.1:1/fhir/", "http://localhost:0/", "http://[::1]:1/x",
    "http://127.0.0.1:1/\n", "http://[", "http://127.0.0.1:99999/", "https://", "file:///etc/passwd",
    "http://a@127.0.0.1:1/", "http://127.0.0.1:1/%2e%2e", "http://127.1:1", "x" * 3000,
    "http://127.0.0.1:1/\u00e9", "http://\u3002", "http://127.0.0.1:1/fhir?x=1#y",
]  # fmt: skip
AUTHORIZATIONS: list[dict[str, Any]] = [
    {"access_token": "abc", "token_type": "Bearer", "expires_in": 300, "scope": "patient/*.read"},
    {"access_token": "abc\n", "expires_in": 1e308, "scope": "user/*.cruds " * 200},
    {"access_token": "a b"}, {"access_token": ""}, {"access_token": 5}, {},
    {"access_token": "a", "expires_in": -1, "scope": 5, "patient": []},
    {"access_token": "a", "expires_in": True, "scope": "patient/Observation.rs?x=y", "patient": "/"},
]  # fmt: skip
TYPES = [
    "application/json", "application/fhir+json", "application/json; charset=utf-16", "text/plain",
    "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", ";", "a/b/c;=;=",
    "application/json\xff", "APPLICATION/JSON", "application/" + "a+" * 400 + "json", "*/*",
    "multipart/form-data", "application/json; charset=\"", "application/json,application/json",
]  # fmt: skip
HEADERS: list[tuple[str, list[str]]] = [
    ("Content-Type", TYPES),
    ("Origin", ["http://[", "null", "http://localhost:1", "http://127.0.0.1", "http://[::1]:80", "//",
                "http://evil.example", "", "x" * 4000, "http://localhost\xe9", "http://[v1.x]", "://"]),
    ("traceparent", ["00-" + "a" * 32 + "-" + "b" * 16 + "-01", "00-x", "", "-" * 900, "00-" + "A" * 32]),
    ("Accept", ["*/*", "text/html;q=nan", "text/html;q=1e9,*", ",;,;q", "a" * 3000, "application/json;q=-1",
                "text/html;q=0.0000000000000001", ";q=1", "text/html;level=\"", "\xff/\xfe"]),
    ("Accept-Language", ["de", "de;q=x", "*" * 500, "\xff"]),
    ("Accept-Encoding", ["gzip", "identity;q=0", "br;q=nan"]),
    ("Content-Encoding", ["gzip", "deflate", "identity", "x"]),
    ("Content-Length", ["0", "007", "+5", "5, 5"]),
    ("Expect", ["100-continue", "x", ""]),
    ("Host", ["", "[", "[::1", "a b", "x:99999999999", "\xe9.example", "a" * 300, "127.0.0.1:80:80", "..",
              "evil.example", "http://x/", "user@host", "_", "xn--\x80", "a..b"]),
    ("Cookie", ["a=b; a=b; =; ;;", "x" * 5000, "\xff=\xff"]),
    ("Authorization", ["Bearer x", "Bearer a.b.c", "bearer", "Basic \xff", "Digest ,,,=", "Bearer " + "a" * 9000,
                       "Basic Zm9v", "Basic =", "Digest username=\"", "Bearer  a.b.c d"]),
    ("X-Forwarded-For", ["1.2.3.4", ", ,", "[", "x" * 900, "\xff"]),
    ("X-Forwarded-Proto", ["https", "x"]), ("Forwarded", ["for=\"[::1]\"", ";;=,"]),
    ("X-HTTP-Method-Override", ["DELETE"]), ("Upgrade", ["h2c", "websocket"]),
    ("Connection", ["keep-alive", "close", "Upgrade, HTTP2-Settings", "transfer-encoding"]),
    ("Range", ["bytes=0-", "bytes=9-1", "x=" + ",".join(["1-2"] * 300), "bytes=-\xff"]),
    ("If-Modified-Since", ["x", "Thu, 99 Foo 99999", "Sun, 06 Nov 0000 08:49:37 GMT"]),
    ("If-None-Match", ["*", "\"", "W/\"x\""]), ("If-Range", ["x"]), ("Date", ["\xff"]),
    ("Transfer-Encoding", ["identity", "gzip, chunked", "chunked, chunked", "x", " chunked"]),
    ("X_Client", ["1"]), ("", ["x"]), ("X-\xe9", ["x"]), ("A" * 900, ["x"]), ("X", ["\t", "a" * 20000]),
    ("Content-MD5", ["x"]), ("Max-Forwards", ["x"]), ("Sec-WebSocket-Key", ["x"]), ("HTTP2-Settings", ["AAA"]),
]  # fmt: skip
METHODS = [
    "GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "FOO", "get",
    "M-SEARCH", "A" * 60, "!#$%&'*+-.^_`|~", "QUERY",
]  # fmt: skip
PATHS = [
    "/", "//", "/cds-services", "/cds-services/", "//cds-services", "/cds-services/x", "/%", "/%zz",
    "/cds-services/%00", "/cds-services/%ff%fe", "/cds-services/\xff", "/cds-services/..%2f", "/a" * 900,
    "/cds-services/b12-muscle-patient-view/", "/cds-services/b12-muscle-patient-view%2ffeedback",
    "/cds-services/b12-muscle-patient-view/feedback/", "/health/live", "/health/ready", "/evidence",
    "/evidence/uk-ng239", "/evidence/%F0%9F", "/evidence/x?format=json", "/fhir/Questionnaire/sarc-f",
    "/fhir/../x/y", "/openapi.json", "/.", "/./cds-services", "/cds-services;x=1", "/static/x", "/favicon.ico",
    "http://127.0.0.1/cds-services", "http://evil.example/health/live", "*", "/cds-services/%E2%80%AE",
    "/cds-services/%C3%28", "/evidence/{{7*7}}", "/evidence/codes", "/evidence/codes/%00", "/evidence/rules", "/cds-services/" + "%41" * 900, "/metrics",
]  # fmt: skip
QUERIES = [
    "", "?", "?a=b", "?a=%ff&%00=", "?format=json", "?format=%ff", "?" + "a=1&" * 900, "?[]=&[[", "?\xff",
    "?format=json&format=", "?;;&&==", "?q=%00%ff", "?q=" + "a" * 9000, "?sample=x", "?sample=%00&q=",
]  # fmt: skip
