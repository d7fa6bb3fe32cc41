"""The pages of services as different sites have them."""

import pytest
from site_knowledge import LABORATORY, site

from cds_hooks.pages import OpenID
from cds_hooks.tenants import Tenant


@pytest.fixture(scope="session")
def here(tmp_path_factory):
    """The pages of a service without a configuration."""
    return site(tmp_path_factory.mktemp("here"))


def _two(folder, **options):
    (folder / "lab.toml").write_text(LABORATORY)
    other = {
        "b12": {"guideline": "uk-ng239", "laboratory": str(folder / "lab.toml")},
        "policy": {"result_max_age_months": 6},
        "language": {"code": "de"},
    }
    first = Tenant("first", certificate="CN=first")
    second = Tenant("other", certificate="CN=other", clinical=other)
    return site(folder, first, second, **options)


@pytest.fixture(scope="session")
def two(tmp_path_factory):
    """The pages of two sites: one as shipped, one with a laboratory, a policy and German."""
    return _two(tmp_path_factory.mktemp("two"))


@pytest.fixture
def signing_in(tmp_path):
    """The same, where people can sign in."""
    return _two(tmp_path, openid=OpenID("https://identities.example", "cobalamin"))


@pytest.fixture(scope="session")
def german(tmp_path_factory):
    """The pages of one site that speaks German."""
    clinical = {"language": {"code": "de"}, "policy": {"result_max_age_months": 6}}
    folder = tmp_path_factory.mktemp("german")
    return site(folder, Tenant("de", certificate="CN=de", clinical=clinical))
