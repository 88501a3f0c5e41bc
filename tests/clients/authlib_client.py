"""Authlib: logs in, refreshes, introspects and revokes with the methods of the library.

Its requests session does not read the server metadata, so the script sets the endpoints.
"""

import json
import os
import sys

# The server is on the loopback interface, without TLS.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session

TARGET = json.loads(sys.argv[1])
BASE = TARGET["issuer"] + "/oauth"
CLIENT = TARGET["client_id"]
BACKEND = TARGET["backend_id"]
LOGIN = {"username": TARGET["username"], "password": TARGET["password"]}


def check(condition, message):
    if not condition:
        sys.exit(f"unexpected: {message}")


def expect_error(code, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except OAuthError as found:
        check(found.error == code and found.description, f"expected {code}, got {found!r}")
    else:
        sys.exit(f"expected {code}")


def session(method, **named):
    secret = None if method == "none" else TARGET["backend_secret"]
    return OAuth2Session(
        CLIENT if method == "none" else BACKEND,
        secret,
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        token_endpoint=BASE + "/token",
        default_timeout=20,
        **named,
    )


def introspect(token, **named):
    answer = resource_server.introspect_token(BASE + "/introspect", token=token, **named)
    check(answer.status_code == 200, answer.text)
    return answer.json()


resource_server = session("client_secret_basic")

# A public client, and a confidential one with both authentication methods.
for method in ("none", "client_secret_basic", "client_secret_post"):
    client = session(method)
    first = dict(client.fetch_token(**LOGIN))
    check(first["token_type"] == "Bearer" and first["scope"] == "read write", first)
    claims = introspect(first["access_token"], token_type_hint="access_token")
    check(claims["active"] is True and claims["username"] == TARGET["username"], claims)
    check((claims["scope"], claims["client_id"]) == ("read write", client.client_id), claims)
    check(claims["sub"] == TARGET["user_id"], claims)

    second = dict(client.refresh_token())
    check(second["refresh_token"] != first["refresh_token"], "the refresh token did not rotate")
    check(client.get(BASE + "/verify").status_code == 200, "the access token is rejected")

    for kind in ("access_token", "refresh_token"):
        check(introspect(second[kind])["active"] is True, f"{kind} is not active")
        answer = client.revoke_token(BASE + "/revoke", token=second[kind], token_type_hint=kind)
        check(answer.status_code == 200, answer.text)
        claims = introspect(second[kind], token_type_hint=kind)
        check(claims == {"active": False}, f"{kind} is active after its revocation")
    expect_error("invalid_grant", client.refresh_token)

# The library refreshes an access token that is about to expire automatically.
updates = []
client = session("none", leeway=7200, update_token=lambda token, **_: updates.append(dict(token)))
first = dict(client.fetch_token(**LOGIN))
check(client.get(BASE + "/verify").status_code == 200, "auto refresh")
check(len(updates) == 1 and updates[0]["refresh_token"] != first["refresh_token"], "auto refresh")
check(introspect(updates[0]["access_token"])["active"] is True, "auto refresh")

expect_error("invalid_grant", session("none").fetch_token, **(LOGIN | {"password": "wrong"}))
expect_error("invalid_scope", session("none", scope="other").fetch_token, **LOGIN)
stranger = session("client_secret_post")
stranger.client_secret = "wrong"
expect_error("invalid_client", stranger.fetch_token, **LOGIN)

own = session("client_secret_basic").fetch_token(grant_type="client_credentials")
check("refresh_token" not in own, own)
claims = introspect(own["access_token"])
check(claims["active"] is True and claims["sub"] == BACKEND and "username" not in claims, claims)
print("done")
