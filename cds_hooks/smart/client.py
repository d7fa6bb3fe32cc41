"""Our app as one tenant's authorisation server knows it, and how it proves itself there."""

from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_token_request

from cds_hooks.config.secrets import read_secret
from cds_hooks.config.tenants import Tenant
from cds_hooks.security.signing_key import ASSERTION_TYPE, SigningKey, read_signing_key


class SmartClient:
    """One tenant's registered client. Raises ConfigurationFault for its secret or key."""

    def __init__(self, tenant: Tenant) -> None:
        access = tenant.smart
        if access is None:
            raise ValueError(f"{tenant.id} has no app")
        self.tenant, self.access = tenant, access
        setting = f"tenant {tenant.id}: smart"
        self.key: SigningKey | None = None
        self._secret: str | None = None
        if access.key_file is not None:
            self.key = read_signing_key(access.key_file, access.key_id, f"{setting}.key_file")
        if access.secret_file is not None:
            secret = read_secret(access.secret_file, f"{setting}.client_secret_file")
            self._secret = secret.decode("latin-1").strip()

    def build_token_request(self, url: str, **members: str) -> tuple[str, dict[str, str]]:
        """Form and headers of a request for a token, with what proves who asks."""
        headers: dict[str, str] = {}
        if self.key is not None:
            assertion = self.key.sign_assertion(self.access.client_id, url)
            members |= {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
        form = prepare_token_request("authorization_code", **members)
        if self.key is None:
            kind = "none" if self._secret is None else "client_secret_basic"
            proof = ClientAuth(self.access.client_id, self._secret, kind)
            _url, headers, form = proof.prepare("POST", url, headers, form)
        return form, headers
