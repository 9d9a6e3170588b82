"""Calls to a GitLab. It says *forbidden* of a write in an archived project and of one our role does not allow; which of the
two it was is asked for, because people do different things about them.
"""

from __future__ import annotations

from boatwright import errors
from boatwright.forge import refusals
from boatwright.forge.http import Answer, Call, ForgeHttp


class GitLabHttp(ForgeHttp):
    async def call(self, call: Call) -> Answer:
        try:
            return await super().call(call)
        except errors.Parked as refused:
            if refused.code != "forge_rights" or call.method == "GET" or not await self._archived(call):
                raise
            raise refusals.read(self.name, 423, {}, b"", about=call.about) from refused

    async def _archived(self, call: Call) -> bool:
        """Whether the project the call was about is."""
        parts = call.path.split("/")
        if parts[1:2] != ["projects"] or len(parts) < 3:
            return False
        said = (await super().call(Call("GET", f"/projects/{parts[2]}", about=call.about))).json()
        return bool(said.get("archived"))
