"""Numbers in sentences for people."""


def counted(number: int, one: str, many: str = "") -> str:
    """Return `number` and the noun in its right form: `1 entry`, `2 entries`; `many` is `one` and an s unless given."""
    return f"{number} {one if number == 1 else many or one + 's'}"
