"""Builds the optional accelerator; without a compiler the plain drain serves (blocker/serve/udp.py)."""

from setuptools import Extension, setup

try:
    from Cython.Build import cythonize

    extensions = cythonize([Extension("blocker.serve._udp", ["blocker/serve/_udp.pyx"], optional=True)])
except ImportError:
    extensions = []

setup(ext_modules=extensions)
