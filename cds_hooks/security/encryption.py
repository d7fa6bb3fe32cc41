"""Encrypt values of cookies, so that nobody reads or changes them in the browser."""

import base64
import zlib
from collections.abc import Mapping
from typing import Any

import orjson
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class CookieCipher:
    """Encrypts for one purpose; what was encrypted for another is not decrypted here."""

    def __init__(self, key: bytes, purpose: str) -> None:
        derived = HKDF(SHA256(), 32, None, f"cobalamin {purpose}".encode()).derive(key)
        self._fernet = Fernet(base64.urlsafe_b64encode(derived))

    def encrypt(self, value: Mapping[str, Any], now: float) -> str:
        # Tokens are mostly base64, which packing brings back to about what it stands for.
        packed = zlib.compress(orjson.dumps(value), 9)
        return self._fernet.encrypt_at_time(packed, int(now)).decode()

    def decrypt(self, text: str, seconds: float, now: float) -> dict[str, Any] | None:
        """A value encrypted at most `seconds` ago; None for an older one or not ours."""
        try:
            packed = self._fernet.decrypt_at_time(text, int(seconds), int(now))
        except (InvalidToken, ValueError):
            return None
        value: dict[str, Any] = orjson.loads(zlib.decompress(packed))
        return value

    def get_age(self, text: str, now: float) -> float:
        """Seconds since `text` was encrypted; infinite for what is not ours."""
        try:
            return now - self._fernet.extract_timestamp(text)
        except (InvalidToken, ValueError):
            return float("inf")
