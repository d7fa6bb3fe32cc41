"""Two running services: one open to this machine, one behind tokens."""

from collections.abc import Iterator

import pytest

from fuzz.served import Served, served


@pytest.fixture(scope="session")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("opened")) as running:
        yield running


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("guarded"), tenants=True) as running:
        yield running
