"""A repository's template for pull requests: filled where it asks for what we know, left alone everywhere else."""

from __future__ import annotations

import pytest

from boatwright.rules import pull_template

OURS = {"Summary": "SUMMARY", "Changes": "CHANGES", "Proof": "PROOF", "Cost": "COST", "Issue": "Closes #7"}
USUAL = """\
<!-- Thanks for your work! Closes #99 -->
## Description

Please include a summary of the change, @team. Fixes #123
/label ~bug

## Type of change

- [ ] Bug fix
- [ ] New feature

## How has this been tested?
Tell us.
- [ ] I added tests

### Screenshots
```
# not a heading
"""


def test_sections_it_asks_for_are_filled_and_the_rest_stays() -> None:
    assert pull_template.filled(USUAL, OURS, "FOOTER") == (
        "## Description\n\nSUMMARY\n\n"
        "## Type of change\n\n- [ ] Bug fix\n- [ ] New feature\n\n"
        "## How has this been tested?\n\nPROOF\n\n- [ ] I added tests\n\n"
        "### Screenshots\n\n```\n# not a heading\n```\n\n"
        "## Changes\n\nCHANGES\n\n## Cost\n\nCOST\n\nCloses #7\n\nFOOTER"
    )


@pytest.mark.parametrize(
    ("heading", "gets"),
    [
        ("What does this PR do?", "SUMMARY"),
        ("Motivation and Context", "SUMMARY"),
        ("Proposed changes", "CHANGES"),
        ("Changes made", "CHANGES"),
        ("Test plan", "PROOF"),
        ("Testing instructions", "PROOF"),
        ("Related issue(s)", "Closes #7"),
        ("Which issue does this fix?", "Closes #7"),
        ("Types of changes", "as it was"),
        ("Checklist", "as it was"),
        ("Reviewers", "as it was"),
    ],
)
def test_what_a_heading_asks_for(heading: str, gets: str) -> None:
    said = pull_template.filled(f"# {heading} ##\nas it was\n", OURS)
    assert said.split("\n\n")[1] == gets


def test_one_section_is_given_once() -> None:
    said = pull_template.filled("## Summary\na\n## Description\nb\n", OURS)
    assert said.count("SUMMARY") == 1 and "## Description\n\nb" in said


def test_nothing_in_a_template_does_something() -> None:
    said = pull_template.filled(
        "text Closes #99\n\n/merge\n@somebody <!-- boatwright:living:ex-1 -->\n<!-- never", OURS
    )
    assert "Closes #99" not in said and "\n/merge" not in said and "@somebody" not in said
    assert "<!--" not in said and "boatwright:living" not in said and said.endswith("Closes #7")


def test_a_box_that_was_ticked_for_the_author_is_unticked() -> None:
    said = pull_template.filled("# Checklist\n- [x] I ran the tests\n* [X] and more\n1. [x] all\n", OURS)
    assert "- [ ] I ran the tests\n* [ ] and more\n1. [ ] all" in said


def test_an_empty_one_is_as_none() -> None:
    said = pull_template.filled("<!-- words for the author -->", OURS, "FOOTER")
    assert said.startswith("## Summary\n\nSUMMARY\n\n## Changes")


@pytest.mark.parametrize(
    ("forge", "paths", "found"),
    [
        ("github", ("PULL_REQUEST_TEMPLATE.md", ".github/pull_request_template.md"), ".github/pull_request_template.md"),
        ("github", ("docs/Pull_Request_Template.txt",), "docs/Pull_Request_Template.txt"),
        ("github", (".github/PULL_REQUEST_TEMPLATE/one.md",), None),
        ("gitea", (".github/PULL_REQUEST_TEMPLATE.md", ".gitea/PULL_REQUEST_TEMPLATE.md"), ".gitea/PULL_REQUEST_TEMPLATE.md"),
        ("forgejo", (".forgejo/pull_request_template.md",), ".forgejo/pull_request_template.md"),
        ("gitlab", (".gitlab/merge_request_templates/Default.md",), ".gitlab/merge_request_templates/Default.md"),
        ("gitlab", ("PULL_REQUEST_TEMPLATE.md",), None),
        ("local", ("pull_request_template.md",), "pull_request_template.md"),
    ],
)  # fmt: skip
def test_where_it_is(forge: str, paths: tuple[str, ...], found: str | None) -> None:
    assert pull_template.find(paths, forge) == found
