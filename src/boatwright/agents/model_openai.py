"""A model behind a wire that speaks OpenAI Chat Completions."""

from __future__ import annotations

import httpx2
from openai import AsyncOpenAI
from pydantic_ai.models import Model
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings


def model(name: str, base: str, http: httpx2.AsyncClient) -> Model:
    """No retries of the client's own: each attempt is decided on in one place, and reserved on its own."""
    client = AsyncOpenAI(api_key="wire", base_url=f"{base}/v1", http_client=http, max_retries=0)
    return OpenAIChatModel(name, provider=OpenAIProvider(openai_client=client))


def settings(max_output: int) -> ModelSettings:
    return ModelSettings(max_tokens=max_output)
