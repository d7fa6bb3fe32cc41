"""The knowledge as FHIR R4 resources: what is the project's own, and everything as one package."""

from mappings.export.resource import Publication, validate
from mappings.export.terminology import own_artefacts

__all__ = ["Publication", "own_artefacts", "validate"]
