"""The knowledge as FHIR R4 resources, one by one and as a package."""
