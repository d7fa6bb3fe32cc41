"""The running service, as the conformance tests start it."""

from conformance.conftest import service

__all__ = ["service"]
