"""Answers that get lost, limits, storms and long lists: one effect all the same."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from boatwright import errors
from boatwright.forge.protocol import Check, PullRequest
from boatwright.testing import fake_faults

World = Any


async def story(world: World) -> PullRequest:
    """Everything a run does to a forge, from the issue to the merge."""
    forge, repository = world.forge, world.repository
    issue = await forge.create_issue(repository, title="one", body="please", author="ann", labels=("agent",))
    await forge.react(repository, issue.number)
    head = world.push("work", {"a.txt": "fixed\n"})
    pull = await forge.open_pull_request(
        repository, title="Fix it", body="Summary", branch="work", base_ref="main", draft=True, author="bot",
        issue=issue.number,
    )  # fmt: skip
    said = await forge.post_comment(
        repository, pull.number, author="bot", body="working", marker="living:ex-1"
    )
    await forge.edit_comment(repository, said.id, body="done")
    check = Check(repository, head, "boatwright/verify", "success", "proven", "ex-1:verify")
    await forge.set_check(check)
    await forge.relabel(repository, issue.number, add=("delivered",), remove=("agent",))
    await forge.update_pull_request(repository, pull.number, body="Proof", draft=False, head=head)
    extra = await forge.post_comment(repository, pull.number, author="bot", body="extra")
    await forge.delete_comment(repository, extra.id)
    merged: PullRequest = await forge.merge_pull_request(repository, pull.number, head=head)
    return merged


def seen(world: World) -> dict[str, Any]:
    """What the server has, whoever asks."""
    depot = world.server.state.depots[world.path]
    return {
        "topics": [(t.number, t.state, t.labels, bool(t.pull)) for t in depot.topics.values()],
        "remarks": [r.body.partition("\n")[0] for r in depot.remarks],
        "reactions": [t.reactions for t in depot.topics.values()],
        "checks": len({*(r.external_id for r in depot.runs), *(s.context for s in depot.statuses)}),
        "runs": len(depot.runs),
        "base": world.base_files(),
    }


async def test_every_answer_lost_once_leaves_what_no_loss_leaves(served: World) -> None:
    served.server.faults.lose_each_once = True
    merged = await story(served)
    served.server.faults.lose_each_once = False
    assert merged.state == "merged"
    there = seen(served)
    assert there["topics"] == [(1, "closed", ["delivered"], False), (2, "closed", [], True)]
    assert there["remarks"] == ["done"]
    assert there["reactions"] == [[(served.says(""), "eyes")], []]
    assert there["checks"] == 1
    assert there["runs"] <= 1
    assert there["base"]["a.txt"] == "fixed\n"


async def test_a_story_without_loss_asks_nothing_twice(served: World) -> None:
    await story(served)
    posts = [path for method, path, _ in served.server.asked if method == "POST"]
    assert len([path for path in posts if path.endswith(("/comments", "/notes"))]) == 2
    assert served.clock.slept == list(served.merge_pauses)


async def test_a_storm_that_passes_is_waited_out(served: World) -> None:
    number = (await served.forge.create_issue(served.repository, title="one", body="", author="ann")).number
    served.server.faults.order(fake_faults.storm(times=3))
    assert (await served.forge.issue(served.repository, number)).title == "one"
    assert served.clock.slept == [0.5, 1.0, 2.0]


async def test_a_storm_that_stays_says_when_to_go_on(served: World) -> None:
    served.server.faults.order(fake_faults.storm(times=1_000))
    with pytest.raises(errors.ForgeUnavailable, match="go on at") as caught:
        await served.forge.issue(served.repository, 1)
    assert caught.value.code == "forge"
    assert caught.value.again is not None
    assert caught.value.again > served.clock.now()


async def test_a_post_in_a_storm_is_looked_for_before_it_is_sent_again(served: World) -> None:
    number = (await served.forge.create_issue(served.repository, title="one", body="", author="ann")).number
    served.server.faults.order(
        fake_faults.Fault(502, 1, "POST", "(comments|notes)$"),
        fake_faults.lost(method="POST", path="(comments|notes)$"),
    )
    await served.forge.post_comment(
        served.repository, number, author="bot", body="working", marker="living:ex-1"
    )
    there = await served.forge.comments(served.repository, number)
    assert [(c.body, c.marker) for c in there] == [("working", "living:ex-1")]


@pytest.mark.parametrize(("seconds", "slept"), [(7, [7.0]), (None, [60.0])])
async def test_a_limit_is_waited_for_as_long_as_it_says(
    served: World, seconds: int | None, slept: list[float]
) -> None:
    await served.forge.me()
    served.server.faults.order(fake_faults.secondary_limit(seconds=seconds, method="POST"))
    await served.forge.create_issue(served.repository, title="one", body="", author="ann")
    assert served.clock.slept == slept
    assert len(await served.forge.issues(served.repository)) == 1


async def test_a_limit_longer_than_our_patience_parks_and_names_the_time(served: World) -> None:
    served.server.faults.order(fake_faults.secondary_limit(seconds=3_600))
    with pytest.raises(errors.ForgeUnavailable) as caught:
        await served.forge.issues(served.repository)
    assert caught.value.again is not None
    assert (caught.value.again - served.clock.now()).total_seconds() == pytest.approx(3_600, abs=2)
    assert served.clock.slept == []


async def test_lists_longer_than_a_page_come_whole(served: World) -> None:
    first = (await served.forge.create_issue(served.repository, title="one", body="", author="ann")).number

    def many(act: Any) -> None:
        for count in range(230):
            act.open_issue(served.path, by="ann", title=f"issue {count}")
            act.comment(served.path, first, by="ann", body=f"comment {count}")

    served.server.do(many)
    assert len(await served.forge.issues(served.repository)) == 231
    said = await served.forge.comments(served.repository, first)
    assert [comment.body for comment in said] == [f"comment {count}" for count in range(230)]


async def test_a_token_that_is_revoked_parks_and_is_not_in_the_error(served: World) -> None:
    token = [token for token, login in served.server.state.tokens.items() if login != "ann"]
    served.server.do(lambda act: act.state.tokens.clear())
    served.server.state.app = None
    with pytest.raises(errors.Parked) as caught:
        await served.forge.issues(served.repository)
    assert caught.value.code == "credential"
    assert not any(each in str(caught.value) + repr(caught.value.next_moves) for each in token)


async def test_a_right_that_is_gone_parks_and_is_named(served: World) -> None:
    number = served.server.do(lambda act: act.open_issue(served.path, by="ann", title="one")).number

    def revoke(act: Any) -> None:
        act.depot(served.path).people[served.says("")] = "read"
        if act.state.app:
            act.state.app.permissions["issues"] = "read"
            act.state.app.permissions["contents"] = "read"

    served.server.do(revoke)
    with pytest.raises(errors.Parked) as caught:
        await served.forge.close_issue(served.repository, number)
    assert caught.value.code == "forge_rights"
    assert "right" in str(caught.value)
    missing = await served.forge.rights(served.repository)
    assert missing
    assert all(each.right and each.why and each.remedy for each in missing)


async def test_an_archived_repository_is_refused_by_name(served: World) -> None:
    number = (await served.forge.create_issue(served.repository, title="one", body="", author="ann")).number
    served.server.do(lambda act: setattr(act.depot(served.path), "archived", True))
    with pytest.raises(errors.Refused, match="archived"):
        await served.forge.close_issue(served.repository, number)


async def test_a_server_that_was_restarted_has_everything(served: World) -> None:
    merged = await story(served)
    before = seen(served)
    port = int(served.server.url.rpartition(":")[2])
    served.server.stop()
    served.server = type(served.server)(served.server.directory, port=port).start()
    assert seen(served) == before
    assert await served.forge.pull_request(served.repository, merged.number) == merged


async def test_sixteen_at_once_open_one_pull_request(served: World) -> None:
    served.push("work", {"a.txt": "fixed\n"})
    pulls = await asyncio.gather(
        *(
            served.forge.open_pull_request(
                served.repository, title="Fix it", body="Summary", branch="work", base_ref="main", draft=True,
                author="bot", issue=None,
            )
            for _ in range(16)
        )
    )  # fmt: skip
    assert len({pull.number for pull in pulls}) == 1
