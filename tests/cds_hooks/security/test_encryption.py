"""What a browser keeps for us is read by us alone, for its purpose, and not for long."""

import secrets

from cds_hooks.security.encryption import CookieCipher

KEY = bytes(range(32))
NOW = 1_800_000_000


def test_what_was_sealed_is_opened_in_time():
    seal = CookieCipher(KEY, "launched")
    text = seal.encrypt({"patient": "p-1"}, NOW)
    assert "p-1" not in text
    assert seal.decrypt(text, 60, NOW + 60) == {"patient": "p-1"}
    assert seal.decrypt(text, 60, NOW + 61) is None
    assert seal.get_age(text, NOW + 5) == 5


def test_nothing_else_is_opened():
    seal = CookieCipher(KEY, "launched")
    text = seal.encrypt({}, NOW)
    for other in ("", "x", text[:-4], text[:40] + "A" + text[41:], "é"):
        assert seal.decrypt(other, 60, NOW) is None
    assert CookieCipher(KEY, "begun").decrypt(text, 60, NOW) is None
    assert CookieCipher(KEY[::-1], "launched").decrypt(text, 60, NOW) is None
    assert seal.get_age("x", NOW) == seal.get_age("é", NOW) == float("inf")


def test_a_token_takes_little_more_than_itself():
    token = secrets.token_urlsafe(3000)
    assert len(CookieCipher(KEY, "launched").encrypt({"token": token}, NOW)) < 1.1 * len(token)
