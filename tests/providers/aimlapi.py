"""A server that answers as aimlapi documents it: an emulator of OpenAI's API behind other addresses.

Only the documented operations are there, and the paths have no `/v1`.
"""

from __future__ import annotations

import re

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

KEY = "aiml-not-a-real-key"

_DOCUMENTED = {
    "/threads": ("POST",),
    "/threads/[^/]+": ("GET", "POST", "DELETE"),
    "/threads/[^/]+/messages": ("POST", "GET"),
    "/threads/[^/]+/messages/[^/]+": ("GET", "POST", "DELETE"),
    "/threads/[^/]+/runs": ("POST", "GET"),
    "/threads/[^/]+/runs/[^/]+": ("GET", "POST"),
    "/assistants": ("POST", "GET"),
    "/assistants/[^/]+": ("GET", "POST", "DELETE"),
}


def app(emulator: ASGIApp) -> ASGIApp:
    """The API in front of an emulator's application."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await emulator(scope, receive, send)
            return
        headers = dict(scope["headers"])
        methods = next((m for path, m in _DOCUMENTED.items() if re.fullmatch(path, scope["path"])), ())
        if headers.get(b"authorization") != f"Bearer {KEY}".encode():
            await JSONResponse({"statusCode": 401}, 401)(scope, receive, send)
        elif scope["method"] not in methods or b"openai-beta" in headers:
            await JSONResponse({"statusCode": 404}, 404)(scope, receive, send)
        else:
            behind = [*scope["headers"], (b"openai-beta", b"assistants=v2")]
            paths = {"path": f"/v1{scope['path']}", "raw_path": b"/v1" + scope["raw_path"]}
            await emulator({**scope, **paths, "headers": behind}, receive, send)

    return answer
