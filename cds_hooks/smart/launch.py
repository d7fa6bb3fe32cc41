"""Launch the app from an EHR, from its first request to an access token (SMART App Launch 2).

Nothing is kept on the server: the browser carries the pending launch and the token in encrypted
cookies.
"""

import hmac
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from cds_hooks.config.settings import Settings
from cds_hooks.config.smart import build_app_scopes
from cds_hooks.config.tenants import Tenant
from cds_hooks.fhir.issues import read_code
from cds_hooks.net.urls import is_fhir_base_url, is_loopback_url
from cds_hooks.protocol.errors import CallError
from cds_hooks.smart.authorization_server import (
    AccessDeniedError,
    AuthorizationServer,
    AuthorizationServerError,
)
from cds_hooks.smart.client import SmartClient

LAUNCH_SECONDS = 600  # from the launch to its callback: a user may have to sign in
SECONDS_PER_HOUR = 3600
MAX_SERVERS = 64
MAX_WAITING = 8  # launches of a tenant that wait for its server: hooks need threads too
MAX_CONTEXT_LENGTH = 2000  # characters of an appContext
PARAMETER = re.compile(r"[\x21-\x7e]{1,4096}")  # of a launch, a code
PATIENT_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")  # a FHIR id
LAUNCH_ID = re.compile(r"[A-Za-z0-9_-]{12}")


class LaunchError(CallError):
    """The request is no valid launch or callback."""

    status = 400
    code = "LaunchRefused"
    text = "The app could not be opened."


@dataclass(frozen=True, slots=True)
class PendingLaunch:
    """A launch that waits for the authorisation server's answer."""

    id: str
    tenant: str
    server: str  # FHIR base URL
    state: str = field(repr=False)
    verifier: str = field(repr=False)
    nonce: str = field(repr=False)
    scope: str = ""


@dataclass(frozen=True, slots=True)
class LaunchToken:
    """An access token to one patient's data for one user."""

    id: str
    tenant: str
    server: str  # FHIR base URL
    patient: str = field(repr=False)
    token: str = field(repr=False)
    scope: str
    ends: int  # seconds since 1970
    user: str | None = field(repr=False)
    app_context: str = field(repr=False)


class Launches:
    """Starts and finishes launches; one for each process."""

    def __init__(
        self,
        settings: Settings,
        kinds: Iterable[str],  # types of the resources that the app reads
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.redirect_uri = f"{settings.base_url}/smart/callback"
        self._max_seconds = settings.pages.session_hours * SECONDS_PER_HOUR
        self._resource_types = tuple(sorted(set(kinds)))
        self._now = now
        self.clients = {
            tenant.id: SmartClient(tenant)
            for tenant in settings.tenants
            if tenant.smart is not None
        }
        self._servers: dict[tuple[str, str], AuthorizationServer] = {}
        self._slots = {name: threading.BoundedSemaphore(MAX_WAITING) for name in self.clients}

    def begin_launch(self, iss: str | None, launch: str | None) -> tuple[str, PendingLaunch]:
        """The URL of the authorisation request, and the launch as it is pending meanwhile.

        Without `launch` the user chooses a patient there. Raises LaunchError and
        AuthorizationServerError.
        """
        tenant, base = self._find_tenant(iss)
        if launch is not None and not PARAMETER.fullmatch(launch):
            raise LaunchError("The parameter launch is no such thing.", ["launch"])
        client = self.clients[tenant.id]
        with self._reserve_slot(tenant):
            endpoints = self._get_server(tenant, base).get_endpoints()
        scope = self._choose_scope(client, endpoints.capabilities, is_standalone=launch is None)
        id_, nonce, verifier = (secrets.token_urlsafe(size) for size in (9, 24, 48))
        pending = PendingLaunch(
            id_, tenant.id, base, f"{id_}{secrets.token_urlsafe(24)}", verifier, nonce, scope
        )
        url: str = prepare_grant_uri(
            endpoints.authorization,
            client.access.client_id,
            "code",
            redirect_uri=self.redirect_uri,
            scope=scope,
            state=pending.state,
            aud=iss or base,
            launch=launch,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
        )
        return url, pending

    def finish_launch(self, pending: PendingLaunch, answer: Mapping[str, str]) -> LaunchToken:
        """Exchange the code in the callback's parameters (`answer`) for an access token.

        Raises LaunchError, AccessDeniedError and AuthorizationServerError.
        """
        client = self.clients.get(pending.tenant)
        if client is None or not _is_same(pending.state, answer.get("state", "")):
            raise LaunchError("It was not begun in this browser.", ["state"])
        if "error" in answer:
            code = read_code(answer["error"])
            raise AccessDeniedError(f"Its answer: {code or 'no'}.", [f"authorization.{code}"])
        code = answer.get("code", "")
        if not PARAMETER.fullmatch(code):
            raise LaunchError("The EHR sent no code.", ["code"])
        with self._reserve_slot(client.tenant):
            server = self._get_server(client.tenant, pending.server)
            endpoints = server.get_endpoints()
            # A code of another server's is not for this one's ears. [RFC 9207]
            if answer.get("iss", endpoints.issuer) not in (endpoints.issuer, pending.server):
                raise LaunchError("Another server answered than was asked.", ["iss"])
            asked_at = self._now()
            form, headers = client.build_token_request(
                endpoints.token,
                code=code,
                redirect_uri=self.redirect_uri,
                code_verifier=pending.verifier,
            )
            document = server.request_token(endpoints.token, form, headers)
            return self._make_launch_token(pending, client, server, document, asked_at)

    def _make_launch_token(
        self,
        pending: PendingLaunch,
        client: SmartClient,
        server: AuthorizationServer,
        document: Mapping[str, Any],
        asked_at: float,
    ) -> LaunchToken:
        user = None
        match document.get("id_token"):
            case str(token):
                user = server.verify_identity(token, client.access.client_id, pending.nonce)
        patient = document.get("patient")
        if not isinstance(patient, str) or not PATIENT_ID.fullmatch(patient):
            raise AuthorizationServerError("It named no patient.", ["token.patient"])
        seconds, scope = document.get("expires_in"), document.get("scope")
        lifetime = seconds if isinstance(seconds, int) and seconds > 0 else SECONDS_PER_HOUR
        context = document.get("appContext")
        return LaunchToken(
            pending.id,
            pending.tenant,
            pending.server,
            patient,
            document["access_token"],
            scope if isinstance(scope, str) else pending.scope,
            int(asked_at + min(lifetime, self._max_seconds)),
            user,
            context if isinstance(context, str) and len(context) <= MAX_CONTEXT_LENGTH else "",
        )

    def _choose_scope(
        self, client: SmartClient, capabilities: frozenset[str], *, is_standalone: bool
    ) -> str:
        """The scopes to ask for: no more than is read, in the version that the server knows."""
        is_old = "permission-v1" in capabilities and "permission-v2" not in capabilities
        read = "read" if is_old else "rs"
        scopes = client.access.scopes or build_app_scopes(self._resource_types, read)
        return " ".join(("launch/patient" if is_standalone else "launch", *scopes))

    def _find_tenant(self, iss: str | None) -> tuple[Tenant, str]:
        """The tenant of the EHR `iss`, and its base URL. Raises LaunchError.

        A server that the configuration does not name is sent no request.
        """
        tenants = [client.tenant for client in self.clients.values()]
        if iss is None:
            alone = [(tenant, base) for tenant in tenants for base in tenant.fhir.servers]
            if len(alone) != 1:
                raise LaunchError("It does not say which EHR it comes from (iss).", ["iss"])
            return alone[0]
        base = iss.rstrip("/")
        for tenant in tenants:
            is_local = is_fhir_base_url(base) and is_loopback_url(base)
            if base in tenant.fhir.servers or (tenant.fhir.allow_loopback and is_local):
                return tenant, base
        raise LaunchError("It comes from an EHR that this service does not know.", ["iss"])

    @contextmanager
    def _reserve_slot(self, tenant: Tenant) -> Iterator[None]:
        """Hold a slot to wait for a tenant's server, or raise AuthorizationServerError."""
        places = self._slots[tenant.id]
        if not places.acquire(blocking=False):
            raise AuthorizationServerError("Too many wait for it. Try again in a minute.", ["busy"])
        try:
            yield
        finally:
            places.release()

    def _get_server(self, tenant: Tenant, base: str) -> AuthorizationServer:
        if (tenant.id, base) not in self._servers:
            if len(self._servers) >= MAX_SERVERS:  # many only where any local server is allowed
                self._servers.clear()
            self._servers[tenant.id, base] = AuthorizationServer(
                base, private_addresses=tenant.fhir.private_addresses
            )
        return self._servers[tenant.id, base]


def _is_same(first: str, second: str) -> bool:
    return hmac.compare_digest(first.encode(), second.encode())
