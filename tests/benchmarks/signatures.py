"""What one check of a signature costs by itself, without a token being read."""

import time

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

from benchmarks.hospital import Hospital

MESSAGE = b"x" * 400  # about what header and claims of a token weigh


class Check:
    """The check of a fixed message by a key of an algorithm."""

    def __init__(self, algorithm: str) -> None:
        key = Hospital(algorithm).issuer.keys[0]
        raw = key.signature(MESSAGE)
        public = key.private.public_key()
        if algorithm == "ES384":
            half = len(raw) // 2
            numbers = int.from_bytes(raw[:half]), int.from_bytes(raw[half:])
            signature = utils.encode_dss_signature(*numbers)
            self._once = lambda: public.verify(signature, MESSAGE, ec.ECDSA(hashes.SHA384()))
        else:
            way = padding.PKCS1v15()
            self._once = lambda: public.verify(raw, MESSAGE, way, hashes.SHA384())

    def microseconds(self, times: int = 100) -> float:
        """Of CPU, the mean of so many."""
        began = time.thread_time()
        for _ in range(times):
            self._once()
        return (time.thread_time() - began) / times * 1e6
