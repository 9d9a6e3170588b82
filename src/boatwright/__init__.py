"""Boatwright: an issue goes in, a verified pull request comes out. The public Python API, nothing else."""

from __future__ import annotations

from importlib import metadata

__all__ = ["__version__"]

__version__ = metadata.version("boatwright")
