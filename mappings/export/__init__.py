"""The knowledge as FHIR R4 resources: what is the project's own, and everything as one package."""
