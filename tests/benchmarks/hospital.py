"""The service with a tenant: tokens asked for, records, log and metrics on."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from served_process import free_port
from token_issuers import Issuer, Key

from benchmarks.bodies import PATH

BASE = "https://cds.example.org"
SETTINGS = """
[server]
base_url = "{base}"
[limits]
calls_per_minute = 10000000
requests_per_minute_and_address = 10000000
[metrics]
port = {metrics}
[records]
url = "sqlite:///records.sqlite3"
"""
TENANT = """
[[tenant]]
id = "{id}"
issuer = "{issuer}"
jwks_file = "{id}.json"
algorithms = ["{algorithm}"]
"""


class Hospital:
    """One of the service's callers."""

    def __init__(self, algorithm: str = "ES384", name: str | None = None) -> None:
        self.id = name or algorithm.lower()
        self.algorithm = algorithm
        self.issuer = Issuer(f"https://{self.id}.example/", Key(algorithm))

    def token(self, path: str = PATH) -> str:
        """For one request."""
        return self.issuer.token(f"{BASE}{path}")

    def refused(self, path: str = PATH) -> str:
        """Signed rightly, and over."""
        return self.issuer.token(f"{BASE}{path}", now=0)


def configuration(
    folder: Path,
    hospitals: Sequence[Hospital],
    fhir: str | None = None,
    more: str = "",
    of_tenants: Mapping[str, str] | None = None,
) -> str:
    """What `folder` gets as its configuration, key sets written beside; `more` is for all."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [SETTINGS.format(base=BASE, metrics=free_port()), more]
    for one in hospitals:
        (folder / f"{one.id}.json").write_text(json.dumps(one.issuer.jwks))
        said = {"id": one.id, "issuer": one.issuer.iss, "algorithm": one.algorithm}
        written.append(TENANT.format(**said))
        if fhir is not None:
            written.append(f'[tenant.fhir]\nserver = "{fhir}"\n')
        written.append((of_tenants or {}).get(one.id, ""))
    return "".join(written)
