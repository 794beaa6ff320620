"""What an endpoint that hands out tokens answers, which is believed only as far as it was checked."""

from __future__ import annotations

import json
from typing import Any

from provider.catalog.catalog import path_keys
from provider.errors import ApiError, AuthError
from provider.rest.transport import Request, Response

#: Characters of an endpoint's own words that an error shows.
_WORDS = 500


def read(request: Request, response: Response, remedy: str) -> dict[str, Any]:
    """The JSON object of an answer.

    Args:
        remedy: what to do about a refusal.

    Raises:
        AuthError: a refusal, with the code of RFC 6749, section 5.2, where there is one; or no JSON object.
        ApiError: the endpoint failed.
    """
    place = f"{request.method} {request.url.partition('?')[0]}"
    answer = _object(response.body)
    if response.status >= 500 or response.status == 429:
        raise ApiError(f"{place} answered {response.status}", status=response.status, reason="No token was handed out.")
    if not 200 <= response.status < 300 or isinstance(answer.get("error"), str):
        code = answer.get("error")
        described = answer.get("error_description")
        raise AuthError(
            f"{place} handed out no token: {code if isinstance(code, str) else response.status}"[:_WORDS],
            status=response.status,
            code=code if isinstance(code, str) else None,
            reason="It answered with a redirect, and credentials are not sent on."
            if 300 <= response.status < 400
            else "",
            remedy=remedy,
            detail=described[:_WORDS] if isinstance(described, str) else "",
        )
    if not answer:
        kind = response.header("content-type") or "no content type"
        raise unusable(request, response, f"Its answer is no JSON object ({kind[:80]}).")
    return answer


def text_at(request: Request, response: Response, answer: dict[str, Any], path: str) -> str:
    """The text at a path of an answer.

    Raises:
        AuthError: there is none, or it could not stand in a header.
    """
    value: object = answer
    for key in path_keys(path):
        value = value.get(key) if isinstance(value, dict) else None
    if not isinstance(value, str) or not value:
        raise unusable(request, response, f"Its answer has no text at {path}.")
    if not value.isascii() or not value.isprintable():
        raise unusable(request, response, f"The text at {path} cannot stand in an HTTP header.")
    return value


def unusable(request: Request, response: Response, reason: str) -> AuthError:
    """The error for an answer that is no refusal, and no use."""
    return AuthError(
        f"{request.method} {request.url.partition('?')[0]} handed out no token",
        status=response.status,
        reason=reason,
        remedy="Is that the right URL in the manifest?",
    )


def _object(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}
