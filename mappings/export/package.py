"""An ImplementationGuide resource, and everything as one FHIR package in a reproducible archive."""

import gzip
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from mappings.export.resource import ExportContext

FHIR_VERSION = "4.0.1"
CORE = "hl7.fhir.r4.core"
INDEXED_ELEMENTS = ("id", "url", "version", "kind", "type")


def build_package_id(base: str) -> str:
    """ "org.example.cds.b12-muscle" for https://cds.example.org/fhir: its host backwards."""
    host = urlsplit(base).hostname or ""
    labels = [part for part in reversed(host.split(".")) if part]
    # Each part of a package's name begins with a letter: an address has none.
    names = [part if part[0].isalpha() else f"n{part}" for part in labels if part.isascii()]
    return ".".join([*names, "b12-muscle"])


def build_implementation_guide(
    context: ExportContext, resources: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """The ImplementationGuide resource: every resource of the package with its title."""
    id_ = build_package_id(context.base)
    return context.build_resource(
        "ImplementationGuide",
        id_,
        "Vitamin B12 deficiency and muscle loss: the knowledge of the service",
        description="Value sets, code systems, guidelines and orders that the cards rest on.",
        packageId=id_,
        license="Apache-2.0",
        copyright="Codes of other code systems are under their own licences: see each ValueSet.",
        fhirVersion=[FHIR_VERSION],
        definition={
            "resource": [
                {
                    "reference": {"reference": f"{resource['resourceType']}/{resource['id']}"},
                    "name": resource["title"],
                    "exampleBoolean": False,
                }
                for resource in resources
            ]
        },
    )


def build_file_name(resource: Mapping[str, Any]) -> str:
    return f"{resource['resourceType']}-{resource['id']}.json"


def as_text(resource: Mapping[str, Any]) -> bytes:
    return json.dumps(resource, indent=2, ensure_ascii=False).encode() + b"\n"


def build_package(context: ExportContext, resources: Iterable[Mapping[str, Any]]) -> bytes:
    """package.tgz: the same resources give the same bytes, whenever and wherever it is made."""
    by_name = {build_file_name(resource): resource for resource in resources}
    listed = [
        {"filename": name, "resourceType": resource["resourceType"]}
        | {key: resource[key] for key in INDEXED_ELEMENTS if isinstance(resource.get(key), str)}
        for name, resource in sorted(by_name.items())
    ]
    files = {
        "package.json": _build_manifest(context),
        ".index.json": {"index-version": 2, "files": listed},
        **by_name,
    }
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", filename="", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, content in sorted(files.items()):
            data = as_text(content)
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def _build_manifest(context: ExportContext) -> dict[str, Any]:
    return {
        "name": build_package_id(context.base),
        "version": context.version,
        "type": "IG",
        "title": "Vitamin B12 deficiency and muscle loss",
        "description": "The knowledge of a CDS Hooks service, as FHIR R4 resources.",
        "author": "Cobalamin developers",
        "license": "Apache-2.0",
        "canonical": context.base,
        "url": context.base,
        "fhirVersions": [FHIR_VERSION],
        "dependencies": {CORE: FHIR_VERSION},
    }
