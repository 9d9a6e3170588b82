"""CODEOWNERS as the forges read it: the examples of their documentation, and what would mislead."""

from __future__ import annotations

import pytest

from boatwright.rules import owners

GITHUB = """
# This is a comment.
*       @global-owner1 @global-owner2
*.js    @js-owner #This is an inline comment.
*.go docs@example.com
*.txt @octo-org/octocats
/build/logs/ @doctocat
docs/* docs@example.com
apps/ @octocat
/docs/ @doctocat
/scripts/ @doctocat @octocat
**/logs @octocat
/apps/ @octocat
/apps/github
"""
GITLAB = """
* @default
[Documentation] @docs-team
docs/
README.md @writer
^[Database][2] @dba
model/db/ @a\\ b @dba-lead
path\\ with\\ spaces/ @space
"""


@pytest.mark.parametrize(
    ("text", "path", "theirs"),
    [
        (GITHUB, "a.py", ("@global-owner1", "@global-owner2")),
        (GITHUB, "src/a.js", ("@js-owner",)),
        (GITHUB, "main.go", ("docs@example.com",)),
        (GITHUB, "deep/down/a.txt", ("@octo-org/octocats",)),
        (GITHUB, "build/logs/x", ("@octocat",)),
        (GITHUB, "docs/a.md", ("@doctocat",)),
        (GITHUB, "scripts/x", ("@doctocat", "@octocat")),
        (GITHUB, "apps/web/x", ("@octocat",)),
        (GITHUB, "apps/github/x", ()),
        ("docs/* @near\n", "docs/a.md", ("@near",)),
        ("docs/* @near\n", "docs/deeper/a.md", ()),
        (GITLAB, "x.py", ("@default",)),
        (GITLAB, "docs/a.md", ("@default", "@docs-team")),
        (GITLAB, "README.md", ("@default", "@writer")),
        (GITLAB, "model/db/x.sql", ("@default", "@dba-lead")),
        (GITLAB, "path with spaces/x", ("@default", "@space")),
        ("!a.py @me\n* @all\n", "a.py", ("@all",)),
        ("* nobody-at-all <script>\n", "a.py", ()),
        ("[", "a.py", ()),
        ("\\\n* @all", "a.py", ("@all",)),
        ("", "a.py", ()),
    ],
)
def test_the_last_line_that_fits_names_the_owners(text: str, path: str, theirs: tuple[str, ...]) -> None:
    assert tuple(owners.of(text, [path])) == theirs


def test_each_owner_with_what_is_theirs() -> None:
    found = owners.of("* @all\n*.py @py @all\n", ["a.py", "b.md", "c.py"])
    assert found == {"@py": ("a.py", "c.py"), "@all": ("a.py", "b.md", "c.py")}


@pytest.mark.parametrize(
    ("forge", "paths", "found"),
    [
        ("github", ("CODEOWNERS", ".github/CODEOWNERS"), ".github/CODEOWNERS"),
        ("gitlab", (".gitlab/CODEOWNERS", "docs/CODEOWNERS"), "docs/CODEOWNERS"),
        ("gitea", ("CODEOWNERS",), None),
        ("github", ("src/CODEOWNERS",), None),
    ],
)
def test_where_it_is(forge: str, paths: tuple[str, ...], found: str | None) -> None:
    assert owners.find(paths, forge) == found
