"""How a file is packed, by how it begins: rotated logs and exports are called anything."""

from pathlib import Path

MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


def compression_of(file: Path) -> str | None:
    """ "gzip" or "zstd"; None for neither. Raises OSError."""
    with file.open("rb") as stream:
        begins = stream.read(4)
    return next((name for magic, name in MAGIC.items() if begins.startswith(magic)), None)
