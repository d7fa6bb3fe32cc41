"""Validate a resource as FHIR R4 by the models of `fhir.resources`."""

from collections.abc import Mapping
from typing import Any


class InvalidResourceError(ValueError):
    """A resource is no FHIR R4: the element (`element`, "item.0.linkId"), and why."""

    def __init__(self, element: str, reason: str) -> None:
        super().__init__(f"{element}: {reason}")
        self.element = element
        self.reason = reason


def validate_resource(resource: Mapping[str, Any], expected: str | None = None) -> None:
    """Raise InvalidResourceError with the first element that is no FHIR R4.

    `expected` is the type that it has to have; None: whatever it says.
    """
    # Imported here: the models cost a tenth of a second and 25 MB that only some callers pay.
    from fhir.resources.R4B import get_fhir_model_class  # noqa: PLC0415  # see above
    from pydantic import ValidationError  # noqa: PLC0415  # see above

    try:
        model = get_fhir_model_class(expected or str(resource["resourceType"]))
    except ValueError as error:
        raise InvalidResourceError("resourceType", str(error)) from error
    try:
        model.model_validate(resource)
    except ValidationError as error:
        first = error.errors()[0]
        element = ".".join(str(part) for part in first["loc"])
        raise InvalidResourceError(element, first["msg"]) from error
