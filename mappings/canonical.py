"""The base URL of everything that is this project's own: code systems, orders, FHIR artefacts.

The files say the default, which can never resolve to anybody; a site may set its own in [site].
Data that says the default is read all the same.
"""

from collections.abc import Mapping
from typing import Any

CANONICAL = "https://cobalamin.example/fhir"


def rebased(text: str, base: str) -> str:
    """`text` with `base` wherever it says the default."""
    return text.replace(f"{CANONICAL}/", f"{base}/")


def canonical_of(clinical: Mapping[str, Any]) -> str:
    """The base URL of the site's own FHIR artefacts, without a slash at its end."""
    return str(clinical.get("site", {}).get("canonical", CANONICAL)).rstrip("/")
