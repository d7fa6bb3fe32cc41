"""Whose bulk export may be fetched, how we prove who we are, and where files may lie."""

from dataclasses import dataclass
from pathlib import Path

from cds_hooks.net.urls import parse_origin

DEFAULT_TOKEN_VARIABLE = "COBALAMIN_BULK_TOKEN"  # noqa: S105  # the name of a variable, not a token
DEFAULT_SCOPE = "system/*.read"
SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, slots=True)
class BackendClient:
    """What a server knows this program by (SMART Backend Services)."""

    id: str
    key_file: Path  # private key: PEM, or one JSON Web Key
    key_id: str | None = None  # `kid` of the public key that the server has
    token_url: str | None = None  # None: what the server's smart-configuration says
    scope: str = DEFAULT_SCOPE


@dataclass(frozen=True, slots=True)
class BulkAccess:
    """One FHIR server, and the terms on which its export is fetched."""

    server: str  # base URL, no slash at the end
    client: BackendClient | None = None
    token_variable: str = (
        DEFAULT_TOKEN_VARIABLE  # environment variable with a token, without a client
    )
    file_servers: tuple[str, ...] = ()  # origins besides the server's that files may lie at
    private_addresses: bool = False  # servers inside the hospital's own network
    parallel: int = 4  # files that are downloaded at a time
    deadline_s: int = 24 * SECONDS_PER_HOUR  # for the server to get the export ready

    def allows_url(self, url: str) -> bool:
        """Whether `url` is at the server's own origin or at one that is named."""
        origin = parse_origin(url)
        return origin is not None and origin in map(parse_origin, (self.server, *self.file_servers))
