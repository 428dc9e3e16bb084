"""What goes wrong in a measurement."""


class BenchError(Exception):
    """A figure could not be taken; nothing is reported rather than something wrong."""
