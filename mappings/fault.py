"""What stops the start: a knowledge file that cannot be relied on."""


class KnowledgeFault(ValueError):
    """Names the file, the key in it, and the reason."""

    def __init__(self, file: str, key: str, reason: str) -> None:
        super().__init__(f"{file}: {key}: {reason}")
        self.file = file
        self.key = key
        self.reason = reason
