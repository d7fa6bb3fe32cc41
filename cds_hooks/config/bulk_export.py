"""Whose bulk export may be fetched, how we prove who we are, and where files may lie."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cds_hooks.net.urls import origin_of

TOKEN_VARIABLE = "COBALAMIN_BULK_TOKEN"  # noqa: S105  # the name of a variable, not a token
SCOPE = "system/*.read"
HOUR = 3600


@dataclass(frozen=True, slots=True)
class BackendClient:
    """What a server knows this program by (SMART Backend Services)."""

    id: str
    key_file: Path  # private key: PEM, or one JSON Web Key
    key_id: str | None = None  # `kid` of the public key that the server has
    token_url: str | None = None  # None: what the server's smart-configuration says
    scope: str = SCOPE


@dataclass(frozen=True, slots=True)
class BulkAccess:
    """One FHIR server, and the terms on which its export is fetched."""

    server: str  # base URL, no slash at the end
    client: BackendClient | None = None
    token_variable: str = TOKEN_VARIABLE  # environment variable with a token, without a client
    file_servers: tuple[str, ...] = ()  # origins besides the server's that files may lie at
    private_addresses: bool = False  # servers inside the hospital's own network
    parallel: int = 4  # files that are downloaded at a time
    deadline_s: int = 24 * HOUR  # for the server to get the export ready

    def reaches(self, url: str) -> bool:
        """Whether `url` is at the server's own origin or at one that is named."""
        origin = origin_of(url)
        return origin is not None and origin in map(origin_of, (self.server, *self.file_servers))


def bulk_access(table: Mapping[str, Any], folder: Path) -> BulkAccess:
    """The table [bulk_export] of a configuration; relative paths start at `folder`."""
    client = None
    if "client_id" in table:
        client = BackendClient(
            table["client_id"],
            folder / table["key_file"],
            table.get("key_id"),
            table.get("token_url"),
            table.get("scope", SCOPE),
        )
    return BulkAccess(
        table["server"].rstrip("/"),
        client,
        table.get("token_variable", TOKEN_VARIABLE),
        tuple(table.get("file_servers", ())),
        table.get("private_addresses", False),
        table.get("parallel", 4),
        table.get("deadline_hours", 24) * HOUR,
    )
