"""A DNS proxy that enforces a ban on applications and shows every blocked attempt."""

__version__ = "0.1.0"
