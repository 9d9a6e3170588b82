"""A model behind a wire that speaks Anthropic Messages."""

from __future__ import annotations

import warnings

import httpx2
from anthropic import AsyncAnthropic
from pydantic_ai import UsageExtractionFailedWarning
from pydantic_ai.models import Model
from pydantic_ai.models.anthropic import AnthropicModel, AnthropicModelSettings
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.settings import ModelSettings

warnings.filterwarnings("ignore", category=UsageExtractionFailedWarning)  # the wire counts, not this client


def model(name: str, base: str, http: httpx2.AsyncClient) -> Model:
    """No retries of the client's own: each attempt is decided on in one place, and reserved on its own."""
    client = AsyncAnthropic(api_key="wire", base_url=base, http_client=http, max_retries=0)
    return AnthropicModel(name, provider=AnthropicProvider(anthropic_client=client))


def settings(max_output: int) -> ModelSettings:
    """The conversation only grows, so its beginning is marked as worth caching."""
    return AnthropicModelSettings(
        max_tokens=max_output, anthropic_cache_instructions=True, anthropic_cache_messages=True
    )
