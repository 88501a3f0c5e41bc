"""Authlib: logs in, refreshes, introspects and revokes, each with what the library has for it.

Its requests session knows no metadata: the endpoints are told to it.
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


def check(condition, what):
    if not condition:
        sys.exit(f"not as it should be: {what}")


def refused(code, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except OAuthError as found:
        check(found.error == code and found.description, f"{found!r} where {code} was expected")
    else:
        sys.exit(f"{code} was expected")


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
    answer = judge.introspect_token(BASE + "/introspect", token=token, **named)
    check(answer.status_code == 200, answer.text)
    return answer.json()


judge = session("client_secret_basic")

# A public client, and a confidential one in both of its ways.
for method in ("none", "client_secret_basic", "client_secret_post"):
    client = session(method)
    first = dict(client.fetch_token(**LOGIN))
    check(first["token_type"] == "Bearer" and first["scope"] == "read write", first)
    told = introspect(first["access_token"], token_type_hint="access_token")
    check(told["active"] is True and told["username"] == TARGET["username"], told)
    check((told["scope"], told["client_id"]) == ("read write", client.client_id), told)
    check(told["sub"] == TARGET["user_id"], told)

    second = dict(client.refresh_token())
    check(second["refresh_token"] != first["refresh_token"], "the refresh token did not rotate")
    check(client.get(BASE + "/verify").status_code == 204, "the token opens nothing")

    for kind in ("access_token", "refresh_token"):
        check(introspect(second[kind])["active"] is True, f"{kind} is not active")
        answer = client.revoke_token(BASE + "/revoke", token=second[kind], token_type_hint=kind)
        check(answer.status_code == 200, answer.text)
        told = introspect(second[kind], token_type_hint=kind)
        check(told == {"active": False}, f"{kind} is active after its revocation")
    refused("invalid_grant", client.refresh_token)

# An access token that is about to expire is refreshed by the library on its own.
kept = []
client = session("none", leeway=7200, update_token=lambda token, **_: kept.append(dict(token)))
first = dict(client.fetch_token(**LOGIN))
check(client.get(BASE + "/verify").status_code == 204, "auto refresh")
check(len(kept) == 1 and kept[0]["refresh_token"] != first["refresh_token"], "auto refresh")
check(introspect(kept[0]["access_token"])["active"] is True, "auto refresh")

refused("invalid_grant", session("none").fetch_token, **(LOGIN | {"password": "wrong"}))
refused("invalid_scope", session("none", scope="other").fetch_token, **LOGIN)
stranger = session("client_secret_post")
stranger.client_secret = "wrong"
refused("invalid_client", stranger.fetch_token, **LOGIN)

own = session("client_secret_basic").fetch_token(grant_type="client_credentials")
check("refresh_token" not in own, own)
told = introspect(own["access_token"])
check(told["active"] is True and told["sub"] == BACKEND and "username" not in told, told)
print("done")
