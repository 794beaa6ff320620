"""Credentials that are made here: signed tokens, signed requests, and client certificates."""

from __future__ import annotations

import email.utils
import logging
import os
import ssl
import subprocess
import sys
import time
import traceback
from hashlib import sha256
from pathlib import Path
from typing import Any

import jwt
import pytest
import trustme
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

import provider
from provider.catalog import credentials as manifest
from provider.errors import AuthError, InterfaceError, TransportError
from provider.rest.auth.secret import Secret
from provider.rest.auth.sigv4 import AwsKey, SigV4
from provider.rest.auth.token import Found, Given, Token
from provider.rest.transport import Request
from tests.rest.shop import LIST, connect, orders
from tests.rest.webserver import Reply, Seen, web_server

SECRET = "a-shared-secret-of-32-bytes-or-more"


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


# --- JSON Web Tokens ----------------------------------------------------------------------------

JWT = (
    "{{type: jwt, assertion: {{algorithm: {0}, key_env: KEY, claims: {{aud: shop}}, env_claims: {{iss: APP}},"
    " header: {{kid: key-1}}, lifetime: 120}}}}"
)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "HS256"])
def test_a_signed_token_verifies_and_has_its_claims(tmp_path: Path, rsa_key: rsa.RSAPrivateKey, algorithm: str) -> None:
    keys: dict[str, tuple[str, Any]] = {
        "RS256": (pem(rsa_key), rsa_key.public_key()),
        "ES256": (pem(key := ec.generate_private_key(ec.SECP256R1())), key.public_key()),
        "HS256": (SECRET, SECRET),
    }
    private, public = keys[algorithm]
    with (
        web_server(orders) as server,
        connect(tmp_path, server.url, JWT.format(algorithm), {"KEY": private, "APP": "app-7"}) as conn,
    ):
        conn.execute(LIST)
        conn.execute(LIST)
    first, second = (r.bearer or "" for r in server.requests)
    assert first == second
    claims = jwt.decode(first, public, algorithms=[algorithm], audience="shop")
    assert (claims["iss"], claims["exp"] - claims["iat"]) == ("app-7", 150)
    assert jwt.get_unverified_header(first)["kid"] == "key-1"


def test_a_key_with_its_line_breaks_written_out_is_understood(tmp_path: Path, rsa_key: rsa.RSAPrivateKey) -> None:
    environ = {"KEY": pem(rsa_key).replace("\n", "\\n"), "APP": "a"}
    with web_server(orders) as server, connect(tmp_path, server.url, JWT.format("RS256"), environ) as conn:
        conn.execute(LIST)


def test_a_key_that_cannot_sign_is_not_shown(tmp_path: Path) -> None:
    with web_server(orders) as server:
        environ = {"KEY": "-----BEGIN PRIVATE KEY-----\nnot-a-key-at-all\n", "APP": "a"}
        with (
            connect(tmp_path, server.url, JWT.format("RS256"), environ) as conn,
            pytest.raises(InterfaceError, match="the key in KEY cannot sign with RS256") as caught,
        ):
            conn.execute(LIST)
    assert "not-a-key-at-all" not in "".join(traceback.format_exception(caught.value))


def test_a_signed_token_follows_the_clock_of_the_api_that_refused_it(tmp_path: Path) -> None:
    """The API lives an hour in the future, and says so in its Date."""
    there = time.time() + 3600

    def answer(request: Seen) -> Reply:
        claims = jwt.decode(
            request.bearer or "",
            SECRET,
            algorithms=["HS256"],
            audience="shop",
            options={"verify_exp": False, "verify_iat": False},
        )
        date = {"Date": email.utils.formatdate(there, usegmt=True)}
        return orders(request) if claims["iat"] <= there < claims["exp"] else Reply(401, {"error": "expired"}, date)

    with web_server(answer) as server:
        with connect(tmp_path, server.url, JWT.format("HS256"), {"KEY": SECRET, "APP": "a"}) as conn:
            assert conn.execute(LIST).fetchall() == [("o1",), ("o2",)]
        assert len(server.requests) == 2


def test_a_signed_token_is_exchanged_for_an_access_token(tmp_path: Path) -> None:
    auth = (
        "{type: oauth2_jwt_bearer, token_url: /token, scopes: [read],"
        " assertion: {algorithm: HS256, key_env: KEY, claims: {iss: app}}}"
    )

    def answer(request: Seen) -> Reply:
        if request.path == "/token":
            assert request.form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
            claims = jwt.decode(request.form["assertion"], SECRET, algorithms=["HS256"], audience=f"{server.url}/token")
            return Reply(body={"access_token": f"for-{claims['iss']}-{request.form['scope']}"})
        return orders(request) if request.bearer == "for-app-read" else Reply(401)

    with web_server(answer) as server, connect(tmp_path, server.url, auth, {"KEY": SECRET}) as conn:
        assert conn.execute(LIST).fetchall() == [("o1",), ("o2",)]


@pytest.mark.parametrize("off", [3600, -3600, 0])
def test_an_assertion_follows_the_clock_of_the_endpoint_that_refused_it(tmp_path: Path, off: int) -> None:
    """An endpoint an hour away is asked once more, by its own Date; one that refuses for good is not."""
    auth = "{type: oauth2_jwt_bearer, token_url: /token, assertion: {algorithm: HS256, key_env: KEY}}"
    there = time.time() + off

    def answer(request: Seen) -> Reply:
        if request.path != "/token":
            return orders(request)
        claims = jwt.decode(request.form["assertion"], options={"verify_signature": False})
        if off and claims["iat"] <= there < claims["exp"]:
            return Reply(body={"access_token": "t0ken-of-theirs", "expires_in": 3600})
        date = {"Date": email.utils.formatdate(there, usegmt=True)}
        return Reply(400, {"error": "invalid_grant"}, date)

    with web_server(answer) as server, connect(tmp_path, server.url, auth, {"KEY": SECRET}) as conn:
        if off:
            assert conn.execute(LIST).fetchall() == [("o1",), ("o2",)]
            conn.execute(LIST)
            assert server.paths() == ["/token", "/token", "/orders", "/orders"]
        else:
            with pytest.raises(AuthError, match="invalid_grant"):
                conn.execute(LIST)
            assert server.paths() == ["/token"]


def test_what_an_endpoint_says_of_an_assertion_is_redacted(tmp_path: Path) -> None:
    auth = "{type: oauth2_jwt_bearer, token_url: /token, assertion: {algorithm: HS256, key_env: KEY}}"

    def answer(request: Seen) -> Reply:
        return Reply(400, {"error": "invalid_grant", "error_description": f"bad {request.form['assertion']}"})

    with (
        web_server(answer) as server,
        connect(tmp_path, server.url, auth, {"KEY": SECRET}) as conn,
        pytest.raises(AuthError) as caught,
    ):
        conn.execute(LIST)
    assert caught.value.detail == "bad ***"
    assert "clock" in caught.value.remedy


# --- AWS ----------------------------------------------------------------------------------------

AWS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}


def sigv4(**keys: str) -> SigV4:
    return SigV4(manifest.AwsSigV4(type="aws_sigv4", **keys))


def obtained(scheme: SigV4, values: dict[str, str]) -> Token:
    """What the scheme's flow, which sends nothing, makes of variables."""
    flow = scheme.obtain(Given("shop", {n: Found(Secret(v)) for n, v in values.items()}, "https://x", 0.0))
    while True:
        try:
            next(flow)
        except StopIteration as end:
            token: Token = end.value
            return token


def test_a_request_is_signed_as_in_the_example_of_the_signature_s_specification() -> None:
    scheme = sigv4(service="iam", region="us-east-1")
    kind = ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
    request = Request("GET", "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08", (kind,))
    at = email.utils.parsedate_to_datetime("Sun, 30 Aug 2015 12:36:00 GMT").timestamp()
    signed = dict(scheme.sign(obtained(scheme, AWS), request, at).headers)
    assert signed["X-Amz-Date"] == "20150830T123600Z"
    assert signed["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )


def test_a_signature_counts_on_the_clock_of_the_api_that_refused_it(tmp_path: Path) -> None:
    there = time.time() - 3600

    def answer(request: Seen) -> Reply:
        stamped = time.strftime("%Y%m%dT%H", time.gmtime(there))
        if request.headers["x-amz-date"].startswith(stamped):
            return orders(request)
        return Reply(403, {"error": "expired"}, {"Date": email.utils.formatdate(there, usegmt=True)})

    auth = "{type: aws_sigv4, service: execute-api, region: eu-west-1}"
    with web_server(answer) as server:
        with connect(tmp_path, server.url, auth, AWS) as conn:
            conn.execute(LIST)
        assert len(server.requests) == 2
        assert "/eu-west-1/execute-api/aws4_request" in server.requests[0].headers["authorization"]


FORMS = """
provider: depot
base_url: {{default: '{url}'}}
auth: {{type: aws_sigv4, service: {service}, region: eu-west-1}}
---
service: depot
resources:
  files:
    fields: {{id: {{type: string}}}}
    methods:
      upload: {{sql: EXEC, http: POST /files, body: {{file: {{type: file, required: true}}, purpose: {{}}}}}}
"""


def signature(request: Seen, url: str, service: str) -> str:
    """The Authorization of a request as AWS's own signer makes it of what arrived."""
    kind = S3SigV4Auth if service == "s3" else SigV4Auth
    signer = kind(ReadOnlyCredentials(*AWS.values(), None), service, "eu-west-1")
    signed = AWSRequest(request.method, url + request.target, {}, request.body)
    told = request.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    for name in told:
        if name != "host":
            signed.headers[name] = request.headers[name]
    signed.context["timestamp"] = request.headers["x-amz-date"]
    text = signer.string_to_sign(signed, signer.canonical_request(signed))
    made: str = signer.signature(text, signed)
    return made


@pytest.mark.parametrize("service", ["execute-api", "s3"])
@pytest.mark.parametrize("given", ["@file=local_file('{}')", "@file=('bytes')::BLOB, @purpose='x'"])
def test_a_form_with_files_is_signed_over_all_its_bytes(tmp_path: Path, service: str, given: str) -> None:
    (tmp_path / "large.bin").write_bytes(os.urandom(1_000_000))
    file = tmp_path / "depot.yaml"
    with web_server(lambda _: Reply(body={"id": "f1"})) as server:
        file.write_text(FORMS.format(url=server.url, service=service), encoding="utf-8")
        with provider.connect(manifests=[file], environ=AWS) as conn:
            cur = conn.execute(f"EXEC depot.depot.files.upload {given.format(tmp_path / 'large.bin')}")
            assert cur.fetchall() == [("f1",)]
    (request,) = server.requests
    assert request.headers["x-amz-content-sha256"] == sha256(request.body).hexdigest()
    assert request.headers["authorization"].endswith(f"Signature={signature(request, server.url, service)}")


def test_a_session_s_key_comes_from_a_program_and_reaches_no_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = '{"AccessKeyId": "AKID", "SecretAccessKey": "the-secret-key", "SessionToken": "the-session-token"}'
    environ = {"AWS_CREDENTIALS_COMMAND": f"echo '{key}'", "AWS_REGION": "eu-west-1"}
    with (
        caplog.at_level(logging.DEBUG),
        web_server(orders) as server,
        connect(tmp_path, server.url, "{type: aws_sigv4, service: s3}", environ) as conn,
    ):
        conn.execute(LIST)
    assert server.requests[0].headers["x-amz-security-token"] == "the-session-token"
    assert "the-s" not in caplog.text


@pytest.mark.parametrize("value", ["{}", "[]", "text", '{"AccessKeyId": 1, "SecretAccessKey": 2}'])
def test_what_is_no_aws_key_is_an_error(value: str) -> None:
    with pytest.raises(InterfaceError, match="AWS_CREDENTIALS has no AWS key"):
        obtained(sigv4(service="s3", region="eu-west-1"), {"AWS_CREDENTIALS": value})


def test_an_aws_key_shows_nothing() -> None:
    assert "EXAMPLEKEY" not in repr(AwsKey(Secret("EXAMPLEKEY"), session=Secret("EXAMPLEKEY")))


# --- extras -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("module", "extra"), [("jwt", "jwt"), ("botocore", "aws")])
def test_a_library_that_is_not_installed_is_named_with_its_extra(module: str, extra: str) -> None:
    code = (
        "import sys\n"
        f"sys.modules[{module!r}] = None\n"
        "from provider.rest.auth.extras import library\n"
        f"library({module + ('.auth' if module == 'botocore' else '')!r}, {extra!r}, 'this')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"this needs the extra '{extra}'" in done.stderr
    assert f"pip install 'apiql[{extra}]'" in done.stderr


# --- client certificates ------------------------------------------------------------------------

CERTIFICATE = "client_certificate: {certificate_env: SHOP_CERT, key_env: SHOP_CERT_KEY}"


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return authority


def strict(authority: trustme.CA) -> ssl.SSLContext:
    """A server's context that asks for a certificate of the authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def test_a_client_certificate_is_shown_to_the_api_and_to_its_token_endpoint(
    tmp_path: Path, authority: trustme.CA
) -> None:
    mine = authority.issue_cert("client.example")
    mine.private_key_pem.write_to_path(tmp_path / "key.pem")
    for number, part in enumerate(mine.cert_chain_pems):
        part.write_to_path(tmp_path / "cert.pem", append=number > 0)

    def answer(request: Seen) -> Reply:
        return Reply(body={"access_token": "t"}) if request.path == "/token" else orders(request)

    auth = "{type: oauth2_client_credentials, token_url: /token, client_id: app, client_secret_env: SECRET}"
    environ = {"SHOP_CERT": str(tmp_path / "cert.pem"), "SHOP_CERT_KEY": str(tmp_path / "key.pem"), "SECRET": "s3cret"}
    with web_server(answer, strict(authority)) as server:
        with connect(tmp_path, server.url, auth, environ, CERTIFICATE) as conn:
            conn.execute(LIST)
        assert server.paths() == ["/token", "/orders"]
        with (
            connect(tmp_path, server.url, "{type: none}", {}, retries=0) as conn,
            pytest.raises(TransportError),
        ):
            conn.execute(LIST)


def test_a_client_certificate_that_is_missing_names_its_variable(tmp_path: Path) -> None:
    with (
        connect(tmp_path, "https://127.0.0.1:9", "{type: none}", {}, CERTIFICATE) as conn,
        pytest.raises(InterfaceError, match="no client certificate for shop: SHOP_CERT is not set"),
    ):
        conn.execute(LIST)


def test_a_file_that_is_no_certificate_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("nothing")
    environ = {"SHOP_CERT": str(tmp_path / "cert.pem"), "SHOP_CERT_KEY": str(tmp_path / "none.pem")}
    with (
        connect(tmp_path, "https://127.0.0.1:9", "{type: none}", environ, CERTIFICATE) as conn,
        pytest.raises(InterfaceError, match="cannot be loaded"),
    ):
        conn.execute(LIST)
