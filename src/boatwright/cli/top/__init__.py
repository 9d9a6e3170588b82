"""``boatwright top``: live bottles against every budget that binds them."""

from __future__ import annotations
