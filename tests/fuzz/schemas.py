"""Requests drawn from the OpenAPI document and to the pages, in order and out of order, and answers held to it.

    cd tests && python -m fuzz.schemas [--examples 500]

In this process, since the server in between would only cost time. The same number of examples makes
the same requests again.
"""

import argparse
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import schemathesis
import structlog
from conformance.serving import sample
from hypothesis import HealthCheck, Phase, given, settings
from patients import known
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from cds_hooks.config.pages import PageAccess
from cds_hooks.config.secrets import make_key
from cds_hooks.config.settings import Settings
from cds_hooks.records.store import Records
from cds_hooks.web.app import create_app
from cds_hooks.web.context import Telemetry, make_context
from fuzz.page_paths import describe_pages
from services.hooks.catalog import build_services
from services.web.site import make_pages

BASE = "http://127.0.0.1:8000"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
SAMPLES = {"patient-view": "neuropathy", "order-select": "folic-acid"}


def application(folder: Path) -> Any:
    """The application as it is served to this machine, without a log."""

    def drop(*_event: Any) -> Any:
        raise structlog.DropEvent

    url = f"sqlite:///{folder / 'records.sqlite3'}"
    # What the governance page runs reads the records by this file.
    (folder / "cobalamin.toml").write_text(f'[records]\nurl = "{url}"\n')
    served = Settings(
        base_url=BASE,
        pages=PageAccess(key_file=folder / "pages.key"),
        records_url=url,
        file=str(folder / "cobalamin.toml"),
    )
    make_key(folder / "pages.key", "pages.key_file")
    return create_app(
        make_context(
            {"local": build_services(known(), BASE)},
            served,
            Records.open(url),
            Telemetry(structlog.wrap_logger(None, processors=[drop]), "test"),
        ),
        pages=make_pages(served, {"local": known()}, "test"),
    )


def drawn(app: Any, examples: int) -> Counter[str]:
    """`examples` requests for each call, half of them against the schema; fewer for the rest.

    Raises what schemathesis finds, with the request that does it.
    """
    statuses: Counter[str] = Counter()
    protocol = schemathesis.openapi.from_wsgi("/openapi.json", app)
    pages = schemathesis.openapi.from_dict(describe_pages(app))
    pages.app = app
    for found in (*protocol.get_all_operations(), *pages.get_all_operations()):
        operation = found.ok()
        # A message of feedback is thirty times as large as its share of what can go wrong.
        count = examples if operation.body and "feedback" not in operation.path else examples // 8
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            if operation.body or operation.path_parameters:
                _draw(operation, mode, max(count // 2, 1), statuses)
            elif mode is GenerationMode.POSITIVE:
                _draw(operation, mode, 1, statuses)
    return statuses


def _draw(operation: Any, mode: GenerationMode, count: int, statuses: Counter[str]) -> None:
    def ask(case: Any) -> None:
        response = case.call_and_validate(checks=CHECKS)
        statuses[f"{mode.value} {response.status_code}"] += 1
        if operation.body and "feedback" in operation.path and mode is GenerationMode.POSITIVE:
            assert response.status_code == 200, response.text

    for hook, name in SAMPLES.items():
        if operation.path.endswith(hook):
            ask(operation.Case(body=sample(name), media_type="application/json"))
    settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )(given(case=operation.as_strategy(generation_mode=mode))(ask))()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=500, help="for each service")
    given_ = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        statuses = drawn(application(Path(folder)), given_.examples)
    print(f"{statuses.total()} requests: {dict(sorted(statuses.items()))}")


if __name__ == "__main__":
    main()
