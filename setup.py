"""Builds what makes the query's path fast: the drain by Cython, and the core's own modules, unchanged, by mypyc.

Both are optional. Where no compiler is at hand the same Python files serve, at about twice the cost per miss.
An editable install (`make run`, `make test`) leaves the core uncompiled, so that what is edited is what runs.
"""

import os
import sys

from setuptools import Extension, setup

COMPILED = (
    "names", "errors", "addresses", "rule", "waivers", "policy", "structured", "answer", "cache", "events", "fast",
    "servers", "exchange", "recording", "line", "clients", "lists/row", "lists/pattern", "lists/index", "sinks/region",
    "wire/constants", "wire/query", "wire/response", "wire/ech",
    "upstream/exchange", "upstream/pool", "upstream/entropy", "upstream/ports", "upstream/shown", "upstream/resolver",
)  # fmt: skip


def drain() -> list[Extension]:
    """Return the compiled drain (blocker/serve/udp.py says what it does)."""
    from Cython.Build import cythonize

    found: list[Extension] = cythonize([Extension("blocker.serve._udp", ["blocker/serve/_udp.pyx"])], quiet=True)
    return found


def core() -> list[Extension]:
    """Return the core's modules, compiled from their Python source."""
    from mypyc.build import mypycify

    options = ["--config-file=", "--follow-imports=silent", "--ignore-missing-imports"]
    return list(mypycify([*options, *(f"blocker/{name}.py" for name in COMPILED)], opt_level="2"))


def extensions() -> list[Extension]:
    """Return what can be built here."""
    if os.environ.get("BLOCKER_PURE"):
        return []
    editable = "editable_wheel" in sys.argv or "develop" in sys.argv
    try:
        found = drain() if editable else drain() + core()
    except ImportError as error:  # built without isolation, where the compilers' packages are missing
        print(f"blocker: building without accelerators: {error}", file=sys.stderr)
        return []
    for extension in found:
        extension.optional = True
    return found


setup(ext_modules=extensions())
