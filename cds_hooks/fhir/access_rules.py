"""What may be asked of a FHIR server: under which base URL, which next page, which query.

An access token goes to its tenant's server and nowhere else.
"""

import re
from urllib.parse import unquote, urljoin, urlsplit

from cds_hooks.config.tenants import FhirAccess
from cds_hooks.net.urls import is_loopback
from cds_hooks.protocol.hook_request import HookRequest
from cds_hooks.protocol.prefetch import find_resource_type
from cds_hooks.security.scopes import ScopeDecision, check_scope, read_grants

CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f]")


def find_allowed_base(access: FhirAccess, request: HookRequest) -> str | None:
    """The base URL that this call's server may be asked under; None where it may not."""
    if request.fhir_server is None:
        return None
    base = request.fhir_server.rstrip("/")
    host = _find_host(base)
    if host is None:
        return None
    if base in access.servers:
        return base
    return base if access.allow_loopback and is_loopback(host) else None


def check_query(request: HookRequest, template: str) -> ScopeDecision:
    """Whether the token lets the query be tried; without a token the server decides."""
    authorization = request.authorization
    if authorization is None:
        return ScopeDecision(True, is_complete=True)
    if authorization.expires_in is not None and authorization.expires_in <= 0:
        return ScopeDecision(False, reason="expired")
    return check_scope(
        read_grants(authorization.scope),
        find_resource_type(template),
        search="?" in template,
        same_patient=authorization.patient in (None, request.patient_id),
    )


def _find_host(url: str) -> str | None:
    """The host of a URL that may be called at all: https, or http on this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _port = parts.port
    except ValueError:
        return None
    if not host or parts.username or parts.password or parts.query or parts.fragment:
        return None
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)):
        return host
    return None


def resolve_link(url: str, link: str) -> str:
    """Where a server says that the next page is; nothing where that is no URL."""
    try:
        return urljoin(url, link)
    except ValueError:
        return ""


def is_under(base: str, url: str) -> bool:
    """Whether `url` is the base itself or lies under it, at the same origin."""
    # urlsplit drops controls, and whoever sends it may not: then the two speak of different URLs.
    if CONTROL_CHARACTER.search(url):
        return False
    try:
        allowed, parts = urlsplit(base), urlsplit(url)
    except ValueError:
        return False
    is_same_origin = (allowed.scheme, allowed.netloc) == (parts.scheme, parts.netloc)
    path = unquote(parts.path)  # as whoever sends it will read it
    is_inside = path == allowed.path or path.startswith(allowed.path.rstrip("/") + "/")
    return is_same_origin and is_inside and ".." not in path.split("/") and "\\" not in path
