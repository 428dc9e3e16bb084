"""Random numbers for ids, ports and spellings (RFC 5452 §10): from the system, drawn in bulk."""

import os
from array import array


class Entropy:
    """Random 16-bit numbers; 2,048 are drawn at a time."""

    def __init__(self) -> None:
        self._left = array("H")

    def __call__(self) -> int:
        if not self._left:
            self._left.frombytes(os.urandom(4096))
        return self._left.pop()
