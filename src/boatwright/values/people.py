"""What a person may do in a repository, as a forge says it. Forges name more levels than these; an adapter maps them."""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """One level of access, from nothing to everything. A level that a forge names and this list lacks reads as the next
    lower.
    """

    NONE = "none"
    READ = "read"
    TRIAGE = "triage"
    WRITE = "write"
    MAINTAIN = "maintain"
    ADMIN = "admin"

    @property
    def may_write(self) -> bool:
        """Whether a person of this level may push, and so may ask for work."""
        return self in {Permission.WRITE, Permission.MAINTAIN, Permission.ADMIN}
