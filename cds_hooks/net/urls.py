"""Check and take apart URLs, hosts and origins of a configuration."""

import ipaddress
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

ORIGIN_HOST = re.compile(r"[a-z0-9._:\[\]-]+")  # names of other letters stand in punycode


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address without brackets, can only be this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def is_loopback_url(url: str) -> bool:
    """Whether the host of a checked URL can only be this machine."""
    return is_loopback(urlsplit(url).hostname or "")


def build_local_url(host: str, port: int) -> str:
    """The URL of a service that listens on `host` and `port`."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_web_url(text: str) -> bool:
    """An absolute http or https URL to build others on: no user, query or fragment."""
    return _split_url(text) is not None


def is_fhir_base_url(text: str) -> bool:
    """A web URL that patients' data may travel to: https, or this machine."""
    parts = _split_url(text)
    return parts is not None and (parts.scheme == "https" or is_loopback(parts.hostname or ""))


def is_network(text: str) -> bool:
    """An address, or a network as "10.0.0.0/24"."""
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def is_origin(text: str) -> bool:
    """A browser's `Origin` as browsers write it, which is compared character by character."""
    parts = _split_url(text)
    if parts is None or not ORIGIN_HOST.fullmatch(parts.netloc):
        return False
    return text == f"{parts.scheme}://{parts.netloc}" == text.lower()


def parse_records_url(text: str) -> "URL | None":
    """The database URL in `text`; None where it is none that the records can use.

    A password belongs in the file that libpq's `passfile` names. SQLite in memory would forget.
    """
    # Large, and of no use to commands that open no records.
    from sqlalchemy.engine import make_url  # noqa: PLC0415
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        return None
    match url.drivername:
        case "sqlite" if url.database not in (None, "", ":memory:") and not (url.host or url.query):
            return url
        case "postgresql" | "postgresql+psycopg" if url.password is None:
            secret = {"password", "sslpassword"} & url.query.keys()
            return None if secret else url.set(drivername="postgresql+psycopg")
    return None


def resolve_records_url(url: "URL", folder: Path) -> str:
    """`url` as text; a relative SQLite file is taken from `folder`."""
    if url.drivername == "sqlite":
        url = url.set(database=str(folder / (url.database or "")))
    return url.render_as_string(hide_password=False)


def parse_origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of a URL that patients' data may come from: https, or this machine.

    None for any other, and for one that is read differently by different readers.
    """
    if any(character.isspace() or not character.isprintable() for character in url) or "\\" in url:
        return None
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or "@" in parts.netloc:
        return None
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        return None
    return parts.scheme, host, port or (443 if parts.scheme == "https" else 80)


def _split_url(text: str) -> SplitResult | None:
    # urlsplit drops tabs and line breaks: what it accepts is not what stands in the file.
    if any(character.isspace() for character in text):
        return None
    try:
        parts = urlsplit(text)
        usable = parts.hostname and parts.port != 0
    except ValueError:
        return None
    plain = "@" not in parts.netloc and not any(mark in text for mark in "?#\\")
    return parts if usable and plain and parts.scheme in ("http", "https") else None
