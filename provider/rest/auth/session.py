"""A login call, and the token or cookie that its answer hands out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlencode

from provider.catalog import credentials as manifest
from provider.catalog.catalog import path_keys
from provider.rest.auth import answers
from provider.rest.auth.command import lifetime
from provider.rest.auth.placing import Place
from provider.rest.auth.scheme import Scheme
from provider.rest.auth.secret import Secret
from provider.rest.auth.token import Flow, Given, Token
from provider.rest.transport import Request, Response


@dataclass(frozen=True, slots=True)
class Session(Scheme[manifest.Session]):
    """Logs in once; the session is used until it is refused or expires."""

    def obtain(self, given: Given) -> Flow:
        model = self.model
        body = model.body | {key: given.need(env).secret.reveal() for key, env in model.env_body.items()}
        method, path = model.http.split(" ", 1)
        if model.encoding == "json":
            content, kind = json.dumps(body, ensure_ascii=False), "application/json"
        else:
            content, kind = urlencode(body), "application/x-www-form-urlencoded"
        request = Request(method, given.base_url + path, (("Content-Type", kind),), content.encode())
        response = yield request
        assert response is not None
        return self._token(given, request, response)

    def _token(self, given: Given, request: Request, response: Response) -> Token:
        model = self.model
        if model.cookie is not None:
            # A login that sets a cookie may answer with a page, or a redirect to one.
            secret, seconds = _cookie(request, response, model.cookie, self.remedy)
        else:
            answer = answers.read(request, response, self.remedy)
            secret = Secret(answers.text_at(request, response, answer, model.token or "$"))
            seconds = _at(answer, model.expires_in) if model.expires_in else None
        return Token(secret, lifetime(seconds if seconds is not None else model.lifetime, given.now))

    @property
    def place(self) -> Place:
        if self.model.cookie is not None:
            return Place("cookie", self.model.cookie)
        return Place("header", self.model.header, self.model.prefix)


def _cookie(request: Request, response: Response, name: str, remedy: str) -> tuple[Secret, object]:
    """The value of a cookie that an answer sets, and how many seconds it is good for."""
    if response.status >= 400:
        answers.read(request, response, remedy)
    for header, value in response.headers:
        if header.lower() != "set-cookie":
            continue
        try:
            morsel = SimpleCookie(value).get(name)
        except CookieError:
            continue
        if morsel is not None and morsel.coded_value:
            return Secret(morsel.coded_value), morsel["max-age"] or None
    raise answers.unusable(request, response, f"Its answer sets no cookie {name}.")


def _at(value: object, path: str) -> object:
    for key in path_keys(path):
        value = value.get(key) if isinstance(value, dict) else None
    return value
