"""Measures what the house promises, side by side with other servers: `python -m tests.bench [name...]`."""
