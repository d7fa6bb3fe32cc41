"""nginx with the configuration that is shipped, before a running service: TLS, certificates."""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from conformance.serving import free_port
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from token_issuers import Issuer

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
CONFIGURATION = Path(__file__).parents[2] / "deploy" / "nginx" / "cobalamin.conf"
START_SECONDS = 120
pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")

SUBJECT = "CN=ehr.west.example,O=West"


class Authority:
    """Signs certificates, its own first."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name}.crt"
        made = self._signed(self.name, self.key, x509.BasicConstraints(True, 0))
        self.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def _signed(self, subject, key, *extensions):
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def certificate(self, name: str, organisation: str | None = None) -> tuple[Path, Path]:
        """Files of a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        parts = [(NameOID.ORGANIZATION_NAME, organisation), (NameOID.COMMON_NAME, name)]
        subject = x509.Name([x509.NameAttribute(oid, text) for oid, text in parts if text])
        names = x509.SubjectAlternativeName([x509.DNSName(name), x509.DNSName("localhost")])
        made = self._signed(subject, key, names)
        files = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return files


class Site:
    """A proxy with a service behind it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder, "authority")
        self.stranger = Authority(folder, "stranger")
        self.ehr = self.authority.certificate("ehr.west.example", "West")
        self.unknown = self.authority.certificate("ehr.east.example", "East")
        self.forged = Authority(folder, "other").certificate("forged.west.example", "West")
        self.port, self.behind = free_port(), free_port()
        self.base = f"https://localhost:{self.port}"
        self.issuer = Issuer("https://ehr.example.org")

    def service(self) -> subprocess.Popen[bytes]:
        (self.folder / "keys.json").write_text(json.dumps(self.issuer.jwks))
        (self.folder / "cobalamin.toml").write_text(
            f"""
            [server]
            port = {self.behind}
            base_url = "{self.base}"
            trusted_proxies = ["127.0.0.1"]
            certificate_header = "X-Client-Subject"
            [records]
            url = "sqlite:///records.sqlite3"
            [[tenant]]
            id = "west"
            certificate = "{SUBJECT}"
            [[tenant]]
            id = "first"
            issuer = "{self.issuer.iss}"
            jwks_file = "keys.json"
            """
        )
        command = Path(sys.executable).with_name("cobalamin")
        words = [command, "serve", "--config", self.folder / "cobalamin.toml", "--workers", "1"]
        with (self.folder / "log").open("wb") as log:
            return subprocess.Popen(words, stdout=log, stderr=log)

    def proxy(self) -> subprocess.Popen[bytes]:
        certificate, key = self.authority.certificate("cds.example.org")
        text = CONFIGURATION.read_text()
        for shipped, here in (
            ("listen 443 ssl;", f"listen 127.0.0.1:{self.port} ssl;"),
            ("    listen [::]:443 ssl;\n", ""),
            ("/etc/cobalamin/tls/cds.example.org.crt", str(certificate)),
            ("/etc/cobalamin/tls/cds.example.org.key", str(key)),
            (
                "# ssl_client_certificate /etc/cobalamin/tls/ehr-authorities.crt;",
                f"ssl_client_certificate {self.authority.file};",
            ),
            ("# ssl_verify_client", "ssl_verify_client"),
        ):
            assert text.count(shipped) == 1, shipped
            text = text.replace(shipped, here)
        file = self.folder / "nginx.conf"
        upstream = (CONFIGURATION.parent / "upstream-local.conf").read_text()
        folders = "".join(
            f"{name}_temp_path {self.folder / name};\n"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        file.write_text(
            f"daemon off;\npid {self.folder / 'pid'};\nerror_log {self.folder / 'error'};\n"
            f"{'user root;' if os.geteuid() == 0 else ''}\n"
            f"events {{}}\nhttp {{\n{folders}{upstream.replace('8000', str(self.behind))}{text}}}\n"
        )
        checked = subprocess.run(
            [NGINX, "-t", "-c", file], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stderr
        assert "[warn]" not in checked.stderr
        return subprocess.Popen([NGINX, "-c", file])

    def get(self, path: str, **options: object) -> requests.Response:
        return requests.get(f"{self.base}{path}", verify=self.authority.file, timeout=60, **options)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("proxy"))
    processes = [site.service(), site.proxy()]
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                if site.get("/cds-services").status_code == 401:
                    break
            except requests.ConnectionError:
                pass
            assert time.monotonic() < deadline, (site.folder / "log").read_text()
            time.sleep(0.1)
        yield site
    finally:
        for process in processes:
            process.terminate()
            process.wait(START_SECONDS)


def test_a_verified_certificate_is_a_tenant(site):
    assert site.get("/cds-services", cert=site.ehr).status_code == 200
    assert site.get("/cds-services", cert=site.unknown).status_code == 401


@pytest.mark.parametrize("name", ["X-Client-Subject", "x-client-subject", "X_Client_Subject"])
def test_what_a_client_says_of_itself_never_arrives(site, name):
    assert site.get("/cds-services", headers={name: SUBJECT}).status_code == 401
    # Straight to the service the same header would be believed: the proxy is all that stands there.
    straight = f"http://127.0.0.1:{site.behind}/cds-services"
    believed = requests.get(straight, headers={"X-Client-Subject": SUBJECT}, timeout=60)
    assert believed.status_code == 200


def test_a_certificate_of_another_authority_is_refused(site):
    assert site.get("/cds-services", cert=site.forged).status_code == 400


def test_a_token_passes_through(site):
    endpoint = f"{site.base}/cds-services"
    bearer = {"Authorization": f"Bearer {site.issuer.token(endpoint)}"}
    answer = site.get("/cds-services", headers=bearer)
    assert answer.status_code == 200
    assert "max-age" in answer.headers["Strict-Transport-Security"]
    assert not re.search(r"\d", answer.headers["Server"])
    assert site.get("/cds-services", headers=bearer).status_code == 401  # once alone


def test_probes_are_not_for_the_outside(site):
    assert site.get("/health/ready").status_code == 404
    assert site.get("/health/../health/live").status_code == 404


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions_of_tls_are_not_spoken(site, version):
    context = ssl.create_default_context(cafile=str(site.authority.file))
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", site.port), timeout=60) as plain,
        pytest.raises(ssl.SSLError),
    ):
        context.wrap_socket(plain, server_hostname="localhost")
