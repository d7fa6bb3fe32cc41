"""What an EHR's authorisation server knows our app by (SMART App Launch): [smart]."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

IDENTITY_SCOPES = ("openid", "fhirUser")


def build_app_scopes(kinds: Iterable[str], read: str = "rs") -> tuple[str, ...]:
    """Who is signed in, and the patient's resources of `kinds`."""
    return (*IDENTITY_SCOPES, *(f"patient/{kind}.{read}" for kind in kinds))


@dataclass(frozen=True, slots=True)
class SmartAccess:
    """A registered client: public without a secret or a key."""

    client_id: str
    secret_file: Path | None = None  # then it proves itself by HTTP Basic
    key_file: Path | None = None  # then by a signed token: PEM, or one JSON Web Key
    key_id: str | None = None  # `kid` of the public half that /smart/jwks.json shows
    scopes: tuple[str, ...] = ()  # empty: who is signed in, and what the app reads
    frame_ancestors: tuple[str, ...] = ()  # origins of EHRs that show the app in a frame
