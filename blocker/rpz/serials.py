"""Serial numbers of zones, which go round (RFC 1982)."""


def newer(serial: int, than: int) -> bool:
    """Tell whether `serial` comes after another one (RFC 1982 §3.2)."""
    return serial != than and (serial - than) & 0xFFFFFFFF < 1 << 31
