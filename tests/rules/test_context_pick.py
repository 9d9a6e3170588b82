from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from boatwright.rules import context_pick

FILES = {
    "README.md": "A library.",
    "AGENTS.md": "Run the tests with make test.",
    "src/shop/pagination.py": "def parse_page_size(text): ...\n",
    "src/shop/cart.py": "class Cart:\n    '''pages of a cart'''\n",
    "src/shop/payment.py": "def pay(): ...\n",
    "tests/test_pagination.py": "def test_last_page(): ...\n",
    "uv.lock": "pagination " * 100,
    "logo.png": "pagination",
    "data.bin": "pagination\0",
}
WORDS = "Pagination drops the last page when pageSize divides the total"


def pick(words: str = WORDS, budget: int = 4_000) -> context_pick.Context:
    return context_pick.pick(
        paths=list(FILES), words=words, read=lambda path: FILES[path].encode(), budget=budget
    )


def test_the_words_of_the_request_choose_the_files() -> None:
    picked = pick()
    assert set(picked.shown[:2]) == {"src/shop/pagination.py", "tests/test_pagination.py"}
    assert "uv.lock" not in picked.shown
    assert "logo.png" not in picked.shown
    assert "data.bin" not in picked.shown
    assert "uv.lock" in picked.text  # in the listing


def test_a_file_spelled_out_comes_first() -> None:
    assert pick("Look at src/shop/payment.py, it is wrong").shown[0] == "src/shop/payment.py"
    assert pick("cart.py is wrong about pagination").shown[0] == "src/shop/cart.py"


def test_instructions_come_from_the_base_and_are_not_repeated() -> None:
    picked = pick()
    assert "The repository's instructions, AGENTS.md:\nRun the tests with make test." in picked.text
    assert picked.text.count("Run the tests") == 1


def test_identifiers_are_split() -> None:
    assert set(context_pick.words_of("parse_pageSize HTTPServer2 pages parsing")) >= {
        "parse",
        "page",
        "size",
        "http",
        "server",
    }


def test_the_same_input_gives_the_same_text() -> None:
    again = context_pick.pick(
        paths=sorted(FILES, reverse=True), words=WORDS, read=lambda path: FILES[path], budget=4_000
    )
    assert again == pick()


@given(st.integers(500, 6_000))
def test_the_budget_is_bytes_and_holds(budget: int) -> None:
    files = {f"src/f{n}.py": "ö" * (n * 40) for n in range(40)} | {"AGENTS.md": "ü" * 5_000}
    picked = context_pick.pick(paths=list(files), words="f", read=files.get, budget=budget)
    assert picked.bytes <= budget


def test_only_so_many_files_are_read() -> None:
    asked: list[str] = []

    def read(path: str) -> str:
        asked.append(path)
        return "x"

    context_pick.pick(paths=[f"src/f{n}.py" for n in range(5_000)], words="f", read=read)
    assert len(asked) <= context_pick.MOST_READ + len(context_pick.INSTRUCTIONS)


def test_a_missing_or_empty_repository() -> None:
    assert context_pick.pick(paths=[], words="x", read=lambda _: None).shown == ()
    assert context_pick.pick(paths=["a.py"], words="x", read=lambda _: None).shown == ()
