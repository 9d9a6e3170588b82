"""The type of a setting that says where a secret is, and refuses to repeat what may be one."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from boatwright import errors
from boatwright.config import secrets, strict_yaml


def unshown(sentence: str) -> PydanticCustomError:
    """A problem with a value that may hold a secret."""
    return PydanticCustomError(strict_yaml.UNSHOWN, "{sentence}", {"sentence": sentence})


def _reference(text: str) -> str:
    try:
        secrets.check(text)
    except errors.BadInput as error:
        raise unshown(str(error)) from None
    return text


SecretReference = Annotated[str, AfterValidator(_reference)]
"""Where a secret is (``config.secrets``), never the secret."""
