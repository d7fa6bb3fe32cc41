"""What a site may set, read once from a TOML file and frozen.

Without a file the service is for its own machine alone: it listens on loopback, and only
loopback browser origins and FHIR servers are let in. With a file, nothing is let in that the file
does not name. Secrets are files that the configuration points to, so the file itself may be shown.
"""

import difflib
import json
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError

from cds_hooks.addresses import (
    absolute_records_url,
    is_fhir_base_url,
    is_loopback,
    is_origin,
    is_web_url,
    local_url,
    records_url,
)
from cds_hooks.cards import Coding
from cds_hooks.dialects import Dialect

VARIABLE = "COBALAMIN_CONFIG"  # names the file where the command line does not
CLINICAL = ("b12", "sarcopenia", "policy", "local_code", "attention", "language")
MEBIBYTE = 1024 * 1024

SCHEMA = Path(__file__).parent / "schemas" / "configuration.schema.json"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with the configuration. `reason` never repeats a value."""

    file: str
    key: str  # "fhir.servers[1]"; "" for the file as a whole
    reason: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.key, self.reason) if part)


class ConfigurationFault(ValueError):
    """The service must not start; `faults` holds everything that was found."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


def state_directory() -> Path:
    """Where this user's programs keep what must survive a restart (XDG base directories)."""
    named = Path(os.environ.get("XDG_STATE_HOME", ""))
    # The XDG specification has relative paths ignored.
    return (named if named.is_absolute() else Path.home() / ".local" / "state") / "cobalamin"


def _default_records_url() -> str:
    return f"sqlite:///{state_directory() / 'records.sqlite3'}"


@dataclass(frozen=True, slots=True)
class Settings:
    """What is in force. The defaults are those of a service without a configuration file."""

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 2
    base_url: str = "http://127.0.0.1:8000"  # of links that others follow; no slash at the end
    max_body_bytes: int = 8 * MEBIBYTE
    cors_origins: tuple[str, ...] = ()
    allow_loopback_origins: bool = True
    fhir_servers: tuple[str, ...] = ()  # base URLs, no slash at the end
    allow_loopback_fhir: bool = True
    fhir_deadline_ms: int = 400  # for all the searches of one call together
    fhir_max_pages: int = 5
    fhir_max_bytes: int = 16 * MEBIBYTE
    records_url: str = field(default_factory=_default_records_url)
    records_key_file: Path | None = None  # None: made beside the SQLite database
    log_level: str = "info"
    file: str | None = None  # where these settings were read
    dialect: Dialect = field(default_factory=Dialect)
    clinical: Mapping[str, Any] = field(default_factory=dict)  # the tables of CLINICAL, opaque here

    def listening_on(
        self, host: str | None = None, port: int | None = None, workers: int | None = None
    ) -> "Settings":
        """These settings with what the command line gave.

        A base URL that only repeated the old address follows to the new one.
        """
        moved = replace(
            self,
            host=host or self.host,
            port=port or self.port,
            workers=workers or self.workers,
        )
        if self.base_url != local_url(self.host, self.port):
            return moved
        return replace(moved, base_url=local_url(moved.host, moved.port))


def configuration_file(given: Path | None) -> Path | None:
    """The file given on the command line, else the one that the environment names, else None."""
    named = os.environ.get(VARIABLE)
    return given or (Path(named) if named else None)


def load_settings(path: Path | None) -> Settings:
    """The settings in the TOML file at `path`; None gives the defaults, for loopback only.

    Raises ConfigurationFault with every fault of the file, not only the first.
    """
    if path is None:
        return Settings()
    document = _read(path)
    found = [*_faults(document)]
    if found:
        raise ConfigurationFault(Fault(str(path), key, reason) for key, reason in found)
    return _settings(document, path)


def refuse_exposed(host: str) -> str | None:
    """Why the service will not listen on `host`; None where it will."""
    if is_loopback(host):
        return None
    return (
        f"{host} can be reached from other machines, and no tenant is configured whose callers "
        "could be told from strangers: listen on 127.0.0.1, and put a reverse proxy that "
        "authenticates callers before it"
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        reason = "is not UTF-8 text"
    except tomllib.TOMLDecodeError as error:
        reason = f"is not TOML: {error}"
    raise ConfigurationFault([Fault(str(path), "", reason)])


def _clinical(document: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    tables = {name: document[name] for name in CLINICAL if name in document}
    match tables:
        case {"b12": {"laboratory": file, **others}}:
            return {**tables, "b12": {**others, "laboratory": str(folder / file)}}
    return tables


_FORMATS = FormatChecker(formats=())
for _name, _holds in {
    "web-url": is_web_url,
    "fhir-base-url": is_fhir_base_url,
    "origin": is_origin,
    "records-url": records_url,
}.items():
    # Values of another type are the business of the schema's "type".
    _FORMATS.checks(_name)(lambda value, holds=_holds: not isinstance(value, str) or holds(value))
_VALIDATOR = Draft202012Validator(json.loads(SCHEMA.read_bytes()), format_checker=_FORMATS)


def _faults(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for error in sorted(_VALIDATOR.iter_errors(document), key=lambda error: error.json_path):
        yield from _explain(error)
    match document:
        case {"records": {"url": str(url), **others}} if (
            "key_file" not in others and records_url(url) and not url.startswith("sqlite")
        ):
            yield "records.key_file", "is required with PostgreSQL: all replicas share one key"


def _explain(error: ValidationError) -> Iterator[tuple[str, str]]:
    """Key and reason. The schema's words, never the validator's: those quote the value."""
    key = error.json_path.removeprefix("$").removeprefix(".")
    schema = error.schema if isinstance(error.schema, dict) else {}
    match error.validator, error.instance:
        case "additionalProperties", dict(table):
            known = list(schema["properties"])
            for name in table.keys() - set(known):
                near = difflib.get_close_matches(name, known, 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                yield ".".join(filter(None, (key, name))), f"is not a known key{hint}"
        case "required", dict(table):
            # jsonschema reports each missing key on its own, and names it in its message only.
            missing = [name for name in schema["required"] if name not in table]
            if error.message.startswith(repr(missing[0])):
                yield from ((f"{key}.{name}", "is missing") for name in missing)
        case _, str(name) if "propertyNames" in error.schema_path:
            yield f"{key}.{name}", f"must be {schema['description']}"
        case _:
            yield key, f"must be {schema['description']}"


def _settings(document: Mapping[str, Any], path: Path) -> Settings:
    """The settings of a document without faults; relative paths start at the file's folder."""
    folder = path.absolute().parent
    server, cors, fhir, records = (
        document.get(table, {}) for table in ("server", "cors", "fhir", "records")
    )
    default = Settings()
    host, port = server.get("host", default.host), server.get("port", default.port)
    url = records_url(records["url"]) if "url" in records else None
    return Settings(
        host=host,
        port=port,
        workers=server.get("workers", default.workers),
        base_url=server.get("base_url", local_url(host, port)).rstrip("/"),
        max_body_bytes=server.get("max_body_bytes", default.max_body_bytes),
        cors_origins=tuple(cors.get("origins", ())),
        allow_loopback_origins=cors.get("allow_loopback", False),
        fhir_servers=tuple(base.rstrip("/") for base in fhir.get("servers", ())),
        allow_loopback_fhir=fhir.get("allow_loopback", False),
        fhir_deadline_ms=fhir.get("deadline_ms", default.fhir_deadline_ms),
        fhir_max_pages=fhir.get("max_pages", default.fhir_max_pages),
        fhir_max_bytes=fhir.get("max_response_bytes", default.fhir_max_bytes),
        records_url=absolute_records_url(url, folder) if url else default.records_url,
        records_key_file=folder / records["key_file"] if "key_file" in records else None,
        log_level=document.get("log", {}).get("level", default.log_level),
        file=str(path),
        dialect=_dialect(document.get("dialect", {})),
        clinical=_clinical(document, folder),
    )


def _dialect(table: Mapping[str, Any]) -> Dialect:
    catalogue: dict[str, tuple[Coding, ...]] = {}
    for entry in table.get("catalogue", ()):
        coding = Coding(entry["code"], entry["system"], entry.get("display"))
        catalogue[entry["template"]] = (*catalogue.get(entry["template"], ()), coding)
    return Dialect(
        name=table.get("name", "standard"),
        detail=table.get("detail", "markdown"),
        links=tuple(table.get("links", ())),
        catalogue=catalogue,
    )
