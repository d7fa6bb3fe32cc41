"""Our own private keys, by which servers know this program (`private_key_jwt`)."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from cds_hooks.config.secrets import make_secret_error, read_secret

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS = 240  # at most five minutes [SMART]
MIN_RSA_BITS = 2048

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class SigningKey:
    private: PrivateKey = field(repr=False)
    algorithm: str
    id: str | None  # `kid` of the public half

    def sign_assertion(self, client: str, audience: str) -> str:
        """A token that says to `audience` that this is `client`."""
        now = int(time.time())
        claims = {
            "iss": client,
            "sub": client,
            "aud": audience,
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
            "jti": str(uuid4()),
        }
        headers = {"kid": self.id} if self.id else {}
        return jwt.encode(claims, self.private, self.algorithm, headers)

    def build_public_jwk(self) -> dict[str, Any]:
        """The public half as a JSON Web Key."""
        jwk: dict[str, Any] = jwt.get_algorithm_by_name(self.algorithm).to_jwk(
            self.private.public_key(), as_dict=True
        )
        shown = {name: value for name, value in jwk.items() if name != "key_ops"}
        key_id = {"kid": self.id} if self.id else {}
        return {**shown, **key_id, "use": "sig", "alg": self.algorithm}


def read_signing_key(file: Path, kid: str | None, setting: str) -> SigningKey:
    """The key in `file`, PEM or one JSON Web Key. Raises ConfigurationError."""
    text = read_secret(file, setting)
    key: object
    try:
        if text.lstrip().startswith(b"{"):
            jwk = json.loads(text)
            kid = kid or jwk.get("kid")
            key = jwt.PyJWK(jwk).key
        else:
            key = load_pem_private_key(text, None)
    except (ValueError, TypeError, jwt.PyJWTError):
        reason = "is no private key in PEM (without a password) or JWK"
        raise make_secret_error(file, setting, reason) from None
    match key:
        case rsa.RSAPrivateKey() if key.key_size >= MIN_RSA_BITS:
            return SigningKey(key, "RS384", kid)
        case ec.EllipticCurvePrivateKey() if isinstance(key.curve, ec.SECP384R1):
            return SigningKey(key, "ES384", kid)
    reason = f"must be an RSA key of at least {MIN_RSA_BITS} bits, or an EC key on P-384"
    raise make_secret_error(file, setting, reason)
