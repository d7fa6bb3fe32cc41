"""Plays the EHR of a first card: a key pair, and tokens signed with it.

    python deploy/stand_in_ehr.py key KEY >JWKS
    python deploy/stand_in_ehr.py token KEY ISSUER URL

It needs what the service is installed with. Remove its tenant before patients' data come near.
"""

import os
import time
from pathlib import Path
from uuid import uuid4

import click
import jwt
import orjson
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key

ALGORITHM = "ES384"
LIFETIME_S = 300
KEY_ID = "stand-in"


@click.group()
def main() -> None:
    """Keys and tokens of an EHR that is none."""


@main.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def key(file: Path) -> None:
    """Make a private key in FILE, and write the set of its public key to standard output."""
    made = generate_private_key(SECP384R1())
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as written:
        written.write(
            made.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    public = jwt.get_algorithm_by_name(ALGORITHM).to_jwk(made.public_key(), as_dict=True)
    listed = {**public, "kid": KEY_ID, "alg": ALGORITHM, "use": "sig"}
    click.echo(orjson.dumps({"keys": [listed]}))


@main.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.argument("issuer")
@click.argument("url")
def token(file: Path, issuer: str, url: str) -> None:
    """Write a token for one call of URL to standard output."""
    now = int(time.time())
    claims = {
        "iss": issuer,
        "aud": url,
        "iat": now,
        "exp": now + LIFETIME_S,
        "jti": str(uuid4()),
    }
    click.echo(jwt.encode(claims, file.read_bytes(), ALGORITHM, headers={"kid": KEY_ID}))


if __name__ == "__main__":
    main()
