"""``python -m benchmarks [NAME…]``: every benchmark, each in a process of its own. They print ratios.

``make bench`` runs all of them; ``make bench ARGS=engine`` one. Exit code 1 when one of them broke.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(wanted: list[str]) -> int:
    there = {path.stem: path for path in sorted(HERE.glob("*.py")) if not path.stem.startswith("_")}
    unknown = [name for name in wanted if name not in there]
    if unknown:
        print(f"no benchmark {unknown[0]}: there are {', '.join(there)}", file=sys.stderr)
        return 2
    broken = []
    for name in wanted or there:
        print(f"\n== {name}", flush=True)
        if subprocess.run([sys.executable, str(there[name])], cwd=HERE.parent, check=False).returncode != 0:
            broken.append(name)
    if broken:
        print(f"broken: {', '.join(broken)}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
