"""Requests signed with an AWS key (Signature Version 4), by the signer of botocore."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

from provider.catalog import credentials as manifest
from provider.errors import InterfaceError
from provider.rest.auth.extras import library
from provider.rest.auth.scheme import Scheme
from provider.rest.auth.secret import Secret
from provider.rest.auth.token import Flow, Given, Token
from provider.rest.transport import Request

#: Says what a body's SHA-256 is, where the body itself is not at hand.
_DIGEST = "X-Amz-Content-SHA256"


@dataclass(frozen=True, slots=True)
class AwsKey(Token):
    """An AWS key: `secret` is its secret part."""

    access_key: str = ""
    session: Secret | None = None
    region: str = ""


@dataclass(frozen=True, slots=True)
class SigV4(Scheme[manifest.AwsSigV4]):
    """Signs each request for one service of one region."""

    @property
    def remedy(self) -> str:
        return f"Check {self.model.access_key_env} and {self.model.secret_key_env}, and this machine's clock."

    @property
    def digest_header(self) -> str:
        return _DIGEST

    def obtain(self, given: Given) -> Flow:
        model = self.model
        region = model.region or given.need(model.region_env).secret.reveal()
        if model.env in given.found:
            key = _from_process(model.env, given, region)
            yield key.secret
            if key.session is not None:
                yield key.session
            return key
        secret = given.need(model.secret_key_env).secret
        session = given.found.get(model.session_token_env)
        return AwsKey(
            secret,
            timed=True,
            access_key=given.need(model.access_key_env).secret.reveal(),
            session=session.secret if session else None,
            region=region,
        )

    def sign(self, token: Token, request: Request, now: float) -> Request:
        assert isinstance(token, AwsKey)
        awsrequest = library("botocore.awsrequest", "aws", "signing for AWS")
        credentials = library("botocore.credentials", "aws", "signing for AWS")
        session = token.session.reveal() if token.session else None
        key = credentials.ReadOnlyCredentials(token.access_key, token.secret.reveal(), session)
        signer = _signer(self.model.service == "s3")(key, self.model.service, token.region)
        headers = dict(request.headers)
        body = request.body if isinstance(request.body, bytes) else None
        signed = awsrequest.AWSRequest(request.method, request.url, headers, body)
        signed.context["digest"] = headers.get(_DIGEST)
        signed.context["timestamp"] = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
        signer.add_auth(signed)
        return replace(request, headers=tuple(signed.headers.items()))


@cache
def _signer(s3: bool) -> Any:
    """botocore's signer, with the time and the body's digest as they are given.

    It writes no log lines, which would quote the session's token.
    """
    library_ = library("botocore.auth", "aws", "signing for AWS")
    base: Any = library_.S3SigV4Auth if s3 else library_.SigV4Auth

    class Signer(base):  # type: ignore[misc]
        def payload(self, request: Any) -> Any:
            return request.context["digest"] or super().payload(request)

        def add_auth(self, request: Any) -> None:
            self._modify_request_before_signing(request)
            text = self.string_to_sign(request, self.canonical_request(request))
            self._inject_signature_to_request(request, self.signature(text, request))

    return Signer


def _from_process(name: str, given: Given, region: str) -> AwsKey:
    """A key in the form that AWS's own tools exchange: `aws configure export-credentials`."""
    found = given.need(name)
    try:
        answer = json.loads(found.secret.reveal())
        access, secret = answer["AccessKeyId"], answer["SecretAccessKey"]
        session = answer.get("SessionToken")
    except (ValueError, KeyError, TypeError, AttributeError):
        access = secret = session = None
    if not isinstance(access, str) or not isinstance(secret, str):
        raise InterfaceError(
            f"{name} has no AWS key", reason='JSON with "AccessKeyId" and "SecretAccessKey" is expected.'
        )
    token = Secret(session) if isinstance(session, str) and session else None
    return AwsKey(Secret(secret), found.expires_at, None, True, access, token, region)
