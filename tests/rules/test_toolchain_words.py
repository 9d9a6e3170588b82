"""Which toolchains a line needs: told from the words its commands begin with."""

from __future__ import annotations

import pytest

from boatwright.rules import toolchain


@pytest.mark.parametrize(
    ("line", "needed"),
    [
        ("go test ./...", ("go",)),
        ("cargo test --offline", ("cargo",)),
        ("npm ci && npm test", ("npm",)),
        ("CI=1 exec npx jest | cat", ("npx",)),
        ("cd sub && make check; go vet", ("make", "go")),
        ("python3 -m pytest", ("python3",)),
        ("./run-tests.sh go", ()),
        ("echo 'go' && /opt/go/bin/go test", ()),
        ("(cargo build)", ("cargo",)),
        ("echo 'unclosed && go", ()),
        ("", ()),
    ],
)
def test_needed(line: str, needed: tuple[str, ...]) -> None:
    assert toolchain.needed(line) == needed


def test_what_a_line_installs_itself_is_not_asked_for() -> None:
    assert toolchain.first("./install-rust && cargo build") == ()
    assert toolchain.first("npm ci && node build.js") == ("npm",)


def test_the_sentence_and_the_moves() -> None:
    assert toolchain.sentence(["go"], "the image a:1") == "go is not in this environment (the image a:1)"
    assert toolchain.sentence(["go", "make"], "x").startswith("go and make are not")
    moves = toolchain.moves(["npm", "npx"])
    assert "apt-get install npm" in moves[0] and "environment" in moves[1]
