"""What an answer means: an object, none, a refusal in the API's own words, or an outcome that nobody knows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from provider.catalog.catalog import Provider
from provider.errors import ApiError, AuthError, ConflictError, Error, OutcomeUnknown, RateLimited, TransportError
from provider.rest.auth.redaction import redact
from provider.rest.body import text_at
from provider.rest.request import Call
from provider.rest.waits import holds

if TYPE_CHECKING:
    from provider.catalog.failures import Answer
    from provider.rest.transport import Response

_DETAIL = 2_000


Kind = Literal["success", "no_rows", "retry", "rate_limited", "quota", "refresh_token", "fail"]


def kind_of(rules: Sequence[Answer], response: Response) -> Kind:
    """What an answer means: the first of the manifest's rules that fits, else what its status says.

    401 is `refresh_token`; 429, and 503 with Retry-After, are `rate_limited`; 408 and 5xx, except 501 and 505, are
    `retry`; the rest outside 2xx is `fail`, and so is a page for people, whatever its status.
    """
    status = response.status
    for rule in rules:
        if _covers(rule, status) and holds(response, rule.headers) and _contains(response.body, rule.body):
            return "success" if rule.means == "ignore" else rule.means
    if 200 <= status < 300:
        return "fail" if is_page(response) else "success"
    if status == 401:
        return "refresh_token"
    if status == 429 or (status == 503 and response.header("retry-after") is not None):
        return "rate_limited"
    return "retry" if is_unclear(response) else "fail"


def is_unclear(response: Response) -> bool:
    """Whether an answer leaves open if a write was executed (RFC 9110, sections 15.5.9 and 15.6).

    A page for people, such as a login, says nothing about it either.
    """
    status = response.status
    return status == 408 or (status >= 500 and status not in (501, 505)) or (status < 300 and is_page(response))


def is_page(response: Response) -> bool:
    """Whether an answer is HTML: then it comes from something in front of the API."""
    return (response.header("content-type") or "").lower().startswith("text/html")


def _covers(rule: Answer, status: int) -> bool:
    if rule.status is None:
        return not 200 <= status < 300
    return status in rule.status or f"{status // 100}xx" in rule.status


def _contains(body: bytes, patterns: Mapping[str, str]) -> bool:
    """Whether the value at each path has what its pattern looks for."""
    return all((text := text_at(body, path)) is not None and re.search(p, text) for path, p in patterns.items())


def unknown_outcome(call: Call, response: Response, detail: str) -> OutcomeUnknown:
    """A write's answer that does not say whether it was executed."""
    return OutcomeUnknown(
        f"{call.http_method} {call.path} answered {response.status}; it may have been executed",
        reason="The answer is a page for people (text/html), not the API's."
        if is_page(response)
        else "A server that fails, or a gateway that gives up, does not say how far it came.",
        remedy="It is not repeated. Look at what is there before you run it again.",
        detail=detail,
    )


def lost_answer(call: Call, failure: TransportError) -> OutcomeUnknown:
    """A write that was sent and not answered."""
    return OutcomeUnknown(
        f"{call.http_method} {call.path}: no answer; it may have been executed",
        reason=failure.summary,
        remedy="It is not repeated. Look at what is there before you run it again.",
    )


def refusal(
    provider: Provider,
    call: Call,
    response: Response,
    kind: Kind,
    *,
    base_url: str,
    hidden: tuple[str, ...],
    check: str,
    why: str,
) -> Error:
    """The error for an answer that is no success, with the API's own words beneath.

    Args:
        base_url: where the call went.
        hidden: secrets that the answer may quote; they are redacted.
        check: what to do where the credentials are refused.
        why: what ApiQL has to add, such as why it does not wait.
    """
    errors = provider.errors
    message = text_at(response.body, errors.message) if errors.message else None
    code = text_at(response.body, errors.code) if errors.code else None
    words = response.body.decode("utf-8", "replace") if message is None else message
    detail = redact(words.strip()[:_DETAIL], hidden)
    request_id = response.header(errors.request_id_header) if errors.request_id_header else None
    if request_id:
        detail += f"\nrequest id {request_id}"
    status, remedy = response.status, ""
    error: type[ApiError] = ApiError
    if kind == "quota":
        error, why = RateLimited, "The account's quota is used up, and waiting does not bring it back."
    elif kind == "rate_limited" or status == 429:
        error = RateLimited
    elif status in (401, 403):
        error = AuthError
        remedy = check
    elif status in (409, 412):
        return ConflictError(f"{call} answered {status}", reason=why, detail=detail)
    elif status in (404, 405, 410) and kind != "no_rows":
        remedy = f"This is not the API's word for a missing object. Is {base_url} the right base URL?"
    elif status < 300 and is_page(response):
        why = "The answer is a page for people (text/html): something in front of the API gave it."
        remedy = f"Is {base_url} the right base URL?"
    return error(
        f"{call} answered {status}",
        status=status,
        code=code,
        request_id=request_id,
        reason=why,
        remedy=remedy,
        detail=detail,
    )
