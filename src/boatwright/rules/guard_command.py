"""What the test command runs: scripts, task files and package scripts decide what a test is, so no change may touch
them.

Every word of the command that names a file is runner configuration, except a test handed to a runner. Scripts
are followed as far as their lines name what they run. Nothing is run here.
"""

from __future__ import annotations

import itertools
import json
import posixpath
import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from boatwright.rules.testfiles import TestPaths

Reader = Callable[[str], str | None]
"""A file of the base as text; None where it is absent or unreadable."""

MOST_LINES = 400
_PACKAGE_TOOLS = frozenset({"npm", "yarn", "pnpm", "bun", "npx", "run-s", "run-p", "npm-run-all"})
_TASK_FILES = {
    "make": ("Makefile", "makefile", "GNUmakefile"),
    "gmake": ("Makefile", "makefile", "GNUmakefile"),
    "just": ("justfile", "Justfile", ".justfile"),
    "task": ("Taskfile.yml", "Taskfile.yaml"),
    "inv": ("tasks.py",),
    "invoke": ("tasks.py",),
    "doit": ("dodo.py",),
    "rake": ("Rakefile",),
    "cargo": (".cargo/config.toml",),
    "mvn": ("pom.xml",),
    "gradle": ("build.gradle", "build.gradle.kts"),
}
_MAKES = frozenset({"make", "gmake"})
_INTERPRETERS = re.compile(
    r"(?:\S*/)?(?:(?:ba|da|z|k)?sh|(?:python|pypy)[0-9.]*|node|ruby|perl|php|deno|bun|source|\.)$"
)
_SOURCES = (".py", ".js", ".mjs", ".cjs", ".ts", ".mts", ".sh", ".rb", ".pl")
_SETTINGS = frozenset(
    {
        "-c",
        "-p",
        "-r",
        "-o",
        "--config-file",
        "--rootdir",
        "--confcutdir",
        "--import",
        "--require",
        "--loader",
        "--experimental-loader",
        "--cov-config",
        "--rcfile",
    }
)
_FOLDERS = frozenset({"cd", "-C", "--prefix", "--directory", "--cwd", "-s", "--dir", "pushd"})
_INCLUDE = re.compile(r"^\s*[-s]?include\s+(.+)$", re.MULTILINE)
_RECIPE = re.compile(r"^(?:\t|[^\s#:=][^:=]*:[^=;]*;)\s*[@+-]*(.+)$", re.MULTILINE)


@dataclass(slots=True)
class Reached:
    """What a command line runs. ``folders`` are given to an interpreter as if they were scripts."""

    files: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    tools: set[str] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)

    def decides(self, path: str) -> bool:
        """Whether any change of ``path`` changes how tests are run."""
        if path in self.files or any(path.startswith(f"{each}/") for each in self.folders):
            return True
        name = posixpath.basename(path)
        if self.tools & _MAKES and name.endswith((".mk", ".mak")):
            return True
        return any(
            path.endswith(("/" + each, each)) and name == posixpath.basename(each)
            for tool in self.tools
            for each in _TASK_FILES.get(tool, ())
        )

    @property
    def by_package(self) -> bool:
        """Whether the scripts of a package.json are run."""
        return bool(self.tools & _PACKAGE_TOOLS)


def reached(command: str, tests: TestPaths, read: Reader = lambda _path: None) -> Reached:
    """Everything ``command`` names and runs, through scripts of the base as far as they can be read."""
    found, seen = Reached(), set[str]()
    queue: list[tuple[str, str, bool]] = [(command, "", True)]
    while queue and len(found.lines) < MOST_LINES:
        line, folder, every_word = queue.pop(0)
        if not line.strip() or line in seen:
            continue
        seen.add(line)
        found.lines.append(line)
        for segment in _segments(line):
            folders = ["", folder, *(posixpath.join(folder, each) for each in _folders(line))]
            tool = _tool(segment)
            found.tools.add(tool)
            named = set(_named(segment, folders, tests, every_word=every_word))
            found.files |= {path for path, _runs in named}
            found.folders |= {path for path, runs in named if runs}
            for path, _runs in sorted(named):
                queue += [(inner, "", False) for inner in _script_lines(path, read)]
            if tool in _PACKAGE_TOOLS:
                queue += [(script, at, True) for at in folders for script in _scripts(segment, at, read)]
            if tool in _MAKES:
                queue += [(recipe, at, False) for at in folders for recipe in _recipes(found, at, read)]
    return found


def _segments(line: str) -> Iterator[list[str]]:
    """The simple commands of a shell line, as words; what is quoted as a command is looked into."""
    try:
        lexer = shlex.shlex(line.replace("\n", ";").replace("`", " "), posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:
        words = re.split(r"[\s'\"]+|(?=[;&|])|(?<=[;&|])", line)
    segment: list[str] = []
    for word in [*words, ";"]:
        if re.fullmatch(r"[();<>|&]+", word):
            if segment:
                yield segment
            segment = []
        elif re.search(r"\s", word):
            yield from _segments(word) if word != line else ()
        elif word:
            segment.append(word.strip("$"))


def _plain(segment: list[str]) -> list[str]:
    """The words from the program on: no assignments, no ``env`` and ``exec``."""
    start = 0
    while start < len(segment) and (
        re.match(r"\w+=", segment[start]) or segment[start] in {"env", "exec", "time", "command", "-", "@"}
    ):
        start += 1
    return segment[start:]


def _tool(segment: list[str]) -> str:
    words = _plain(segment)
    return posixpath.basename(words[0].lstrip("@-+")) if words else ""


def _folders(line: str) -> list[str]:
    found = []
    for segment in _segments(line):
        pairs = itertools.pairwise(segment)
        found += [after for before, after in pairs if before in _FOLDERS and not after.startswith("-")]
        found += [
            word.partition("=")[2] for word in segment if word.partition("=")[0] in _FOLDERS and "=" in word
        ]
    return found


def _named(
    segment: list[str], folders: list[str], tests: TestPaths, *, every_word: bool
) -> Iterator[tuple[str, bool]]:
    """The paths the words may mean, and whether an interpreter runs them."""
    start = len(segment) - len(_plain(segment))
    handed = start + _runner_at(segment[start:])
    for place, word in enumerate(segment):
        before = segment[place - 1] if place else ""
        key, equals, value = word.partition("=")
        if before in {"-m", "-p"}:
            yield from _module(word, folders)
        elif word[:2] in {"-m", "-p"}:
            yield from _module(word[2:], folders)
        runs, setting = _is_run(segment, start, place), before in _SETTINGS or key in _SETTINGS
        if not (every_word or runs or setting) or (place == start and "/" not in word and "." not in word):
            continue
        for path in _paths(value if equals else word, folders):
            if place <= handed or setting or not _is_handed(path, before, tests):
                yield path, runs


def _runner_at(words: list[str]) -> int:
    """Where a runner that is given tests is named; past the end where there is none."""
    for place, word in enumerate(words):
        after = words[place + 1] if place + 1 < len(words) else ""
        is_program = posixpath.basename(word) in {"pytest", "py.test"}
        is_module = word in {"-mpytest", "-munittest"} or (word == "-m" and after in {"pytest", "unittest"})
        if is_program or is_module or (word == "--test" and posixpath.basename(words[0]) == "node"):
            return place
        if place and word.endswith(_SOURCES) and words[place - 1] not in _SETTINGS:
            break
    return len(words)


def _is_run(segment: list[str], start: int, place: int) -> bool:
    """Whether the word is the program, or the script an interpreter is given."""
    if place <= start or segment[place].startswith("-"):
        return place == start
    options = segment[start + 1 : place]
    is_script = all(each.startswith("-") for each in options) and not {"-c", "-e", "-m"} & set(options)
    return is_script and _INTERPRETERS.match(segment[start]) is not None


def _is_handed(path: str, before: str, tests: TestPaths) -> bool:
    """A file or folder of tests given to a runner: what it says is a test's own business."""
    if tests.is_test(path) or not posixpath.splitext(path)[1]:
        return True
    return not before.startswith("-") and path.endswith(_SOURCES)


def _paths(word: str, folders: Iterable[str]) -> set[str]:
    word = word.strip("\"'`(){}").partition("::")[0]
    if not word or word.startswith(("-", "/", "~")) or "://" in word:
        return set()
    joined = {posixpath.normpath(posixpath.join(folder, word)) for folder in folders}
    return {path for path in joined if path != "." and not path.startswith("../")}


def _module(name: str, folders: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """The files ``-m name`` may run."""
    stem = name.strip("\"'").replace(".", "/")
    if re.fullmatch(r"[\w/]+", stem) and stem.partition("/")[0] not in {"pytest", "unittest"}:
        for folder in {*folders, "src"}:
            base = posixpath.normpath(posixpath.join(folder, stem))
            yield from ((f"{base}{end}", False) for end in (".py", "/__main__.py", "/__init__.py"))


def _script_lines(path: str, read: Reader) -> list[str]:
    """The lines of a shell script of the base; of other texts none."""
    text = read(path) or ""
    if not (path.endswith((".sh", ".bash")) or re.match(r"#!.*\b(?:ba|da|z|k)?sh\b", text)):
        return []
    joined = re.sub(r"\\\n", " ", text)
    return [line.strip() for line in joined.split("\n") if line.strip() and not line.lstrip().startswith("#")]


def _scripts(segment: list[str], folder: str, read: Reader) -> list[str]:
    """The lines of the package scripts that the words name, with what runs before and after them."""
    try:
        value = json.loads(read(posixpath.join(folder, "package.json")) or "{}")
    except ValueError:
        return []
    scripts = value.get("scripts") if isinstance(value, dict) else None
    if not isinstance(scripts, dict):
        return []
    names = {"test" if word in {"t", "tst"} else word for word in segment[1:]}
    wanted = {f"{prefix}{name}" for name in names for prefix in ("", "pre", "post")}
    return [line for name, line in scripts.items() if name in wanted and isinstance(line, str)]


def _recipes(found: Reached, folder: str, read: Reader) -> list[str]:
    """All recipe lines of a makefile of the base; what it includes is noted as deciding."""
    recipes: list[str] = []
    queue, seen = [posixpath.join(folder, name) for name in _TASK_FILES["make"]], set[str]()
    while queue:
        path = queue.pop()
        text = read(path) if path not in seen else None
        seen.add(path)
        if text is None:
            continue
        found.files.add(path)
        recipes += _RECIPE.findall(text)
        for names in _INCLUDE.findall(text):
            queue += [p for name in names.split() if "$" not in name for p in _paths(name, [folder])]
        found.files.update(queue)
    return recipes
