"""What Python itself brings, for rules that read a repository's imports."""

from __future__ import annotations

import sys

STANDARD_MODULES = sys.stdlib_module_names
"""Top-level modules of the standard library, of the Python that runs Boatwright."""
