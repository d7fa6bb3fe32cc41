"""The knowledge in HL7's own words: FHIR R4 resources, and the package that they come in."""
