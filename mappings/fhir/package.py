"""FHIR resources as one package, in the form that FHIR's tools install."""

import gzip
import io
import json
import tarfile
from collections.abc import Mapping
from typing import Any

Resource = dict[str, Any]
NAME = "cobalamin.knowledge"
FHIR = "4.0.1"


def implementation_guide(resources: Mapping[str, Resource], base: str, version: str) -> Resource:
    """What lists everything in the package."""
    return {
        "resourceType": "ImplementationGuide",
        "id": NAME,
        "url": f"{base}/ImplementationGuide/{NAME}",
        "version": version,
        "name": "CobalaminKnowledge",
        "title": "Vitamin B12 deficiency and muscle loss: knowledge of the decision support",
        "status": "active",
        "experimental": False,
        "publisher": "Cobalamin developers",
        "packageId": NAME,
        "license": "Apache-2.0",
        "fhirVersion": [FHIR],
        "definition": {
            "resource": [
                {
                    "reference": {"reference": key},
                    "name": resource.get("title", key),
                    "exampleBoolean": False,
                }
                for key, resource in sorted(resources.items())
            ]
        },
    }


def packed(resources: Mapping[str, Resource], base: str, version: str) -> bytes:
    """`package.tgz`: the same bytes for the same resources."""
    about = {
        "name": NAME,
        "version": version,
        "canonical": base,
        "url": base,
        "title": "Vitamin B12 deficiency and muscle loss",
        "description": "Guidelines, value sets, orders and rules of the decision support service.",
        "fhirVersions": [FHIR],
        "dependencies": {"hl7.fhir.r4.core": FHIR},
        "license": "Apache-2.0",
        "author": "Cobalamin developers",
        "type": "fhir.ig",
    }
    files = {f"{key.replace('/', '-')}.json": value for key, value in sorted(resources.items())}
    index = {
        "index-version": 2,
        "files": [
            {
                "filename": name,
                **{
                    key: resource[key]
                    for key in ("resourceType", "id", "url", "version", "kind", "type")
                    if isinstance(resource.get(key), str)
                },
            }
            for name, resource in files.items()
        ],
    }
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in {"package.json": about, ".index.json": index, **files}.items():
            data = (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return gzip.compress(plain.getvalue(), mtime=0)
