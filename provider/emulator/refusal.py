"""The errors of the wire: what a client is told when a request is refused.

Each function is one row of the vendor's error table. `Refusal` is an answer, not a failure of ApiQL,
so it stands outside the tree in `provider.errors`.
"""

from __future__ import annotations

import json


class Refusal(Exception):
    """An HTTP error answer.

    `status` is the HTTP status; `message`, `kind` (the wire's `type`), `param` and `code` fill the
    envelope, whose four keys are always present; `headers` go out with it.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.param = param
        self.code = code
        self.headers = headers

    @property
    def body(self) -> str:
        """The JSON envelope."""
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return json.dumps({"error": error})


def invalid(message: str, param: str | None = None, code: str | None = None) -> Refusal:
    """400 about one parameter."""
    return Refusal(400, message, param=param, code=code)


def no_key() -> Refusal:
    return Refusal(
        401,
        "You didn't provide an API key. You need to provide your API key in an Authorization header using "
        "Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
    )


def no_beta() -> Refusal:
    return invalid(
        "You must provide the 'OpenAI-Beta' header to access the Assistants API. Please try again by setting "
        "the header 'OpenAI-Beta: assistants=v2'.",
        code="invalid_beta",
    )


def unknown_url(method: str, path: str) -> Refusal:
    return Refusal(404, f"Invalid URL ({method} {path})")


def not_found(noun: str, identifier: str) -> Refusal:
    return Refusal(404, f"No {noun} found with id '{identifier}'.")


def no_file(identifier: str) -> Refusal:
    return Refusal(404, f"No such File object: {identifier}", param="id")


def wrong_prefix(param: str, value: str, word: str) -> Refusal:
    message = f"Invalid '{param}': '{value}'. Expected an ID that begins with '{word}'."
    return invalid(message, param, "invalid_value")


def not_json() -> Refusal:
    return invalid("We could not parse the JSON body of your request: it is not valid JSON in UTF-8.")


def too_large(limit: int) -> Refusal:
    return Refusal(413, f"The request body is too large: at most {limit} bytes are accepted.")


def thread_locked(thread_id: str, run_id: str) -> Refusal:
    return invalid(f"Can't add messages to {thread_id} while a run {run_id} is active.")


def run_active(thread_id: str, run_id: str) -> Refusal:
    return invalid(f"Thread {thread_id} already has an active run {run_id}.")


def rate_limited(per_minute: int, seconds: int) -> Refusal:
    return Refusal(
        429,
        f"Rate limit reached for requests per min (RPM): limit {per_minute}. Please try again in {seconds}s.",
        kind="requests",
        code="rate_limit_exceeded",
        headers=(("retry-after", str(seconds)),),
    )


def server_error() -> Refusal:
    return Refusal(500, "The server had an error while processing your request. Sorry about that!", kind="server_error")
