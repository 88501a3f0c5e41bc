"""requests-oauthlib: a public client logs in and refreshes, and its tokens are introspected.

The library supports the password, refresh token and client credentials grants, and builds revocation
requests (oauthlib). It does not support introspection or metadata: those are plain requests.
"""

import json
import os
import sys

import requests
from oauthlib.oauth2 import (
    BackendApplicationClient,
    InvalidClientError,
    InvalidGrantError,
    InvalidScopeError,
    LegacyApplicationClient,
)
from requests_oauthlib import OAuth2Session

# The server is on the loopback interface, without TLS.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

TARGET = json.loads(sys.argv[1])
TOKEN = TARGET["issuer"] + "/oauth/token"
CLIENT = TARGET["client_id"]
BACKEND = (TARGET["backend_id"], TARGET["backend_secret"])
LOGIN = {"username": TARGET["username"], "password": TARGET["password"]}
WAIT = 20


def check(condition, message):
    if not condition:
        sys.exit(f"unexpected: {message}")


def expect_error(error, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except error as found:
        check(found.description, f"no description in {found!r}")
    else:
        sys.exit(f"expected {error.__name__}")


def introspect(token):
    url = TARGET["issuer"] + "/oauth/introspect"
    answer = requests.post(url, auth=BACKEND, data={"token": token}, timeout=WAIT)
    check(answer.status_code == 200, answer.text)
    return answer.json()


def public_session(**named):
    return OAuth2Session(client=LegacyApplicationClient(client_id=CLIENT), **named)


def log_in(session, **named):
    return session.fetch_token(TOKEN, timeout=WAIT, **(LOGIN | named))


# By default, the library sends HTTP Basic with an empty password; with `include_client_id`, `client_id`
# in the body.
session = public_session()
log_in(session)
session = public_session()
first = log_in(session, include_client_id=True)
check(first["token_type"] == "Bearer" and first["expires_in"] == 3600, first)
check(first["scope"] == ["read", "write"], first)
claims = introspect(first["access_token"])
check(claims["active"] is True and claims["username"] == TARGET["username"], claims)
check((claims["scope"], claims["client_id"]) == ("read write", CLIENT), claims)
check(claims["sub"] == TARGET["user_id"], claims)

# The library adds the token to requests to a resource.
check(session.get(TARGET["issuer"] + "/oauth/verify", timeout=WAIT).status_code == 200, "verify")

second = session.refresh_token(TOKEN, client_id=CLIENT, timeout=WAIT)
check(second["refresh_token"] != first["refresh_token"], "the refresh token did not rotate")
check(second["access_token"] != first["access_token"], "the access token is the same")
check(session.get(TARGET["issuer"] + "/oauth/verify", timeout=WAIT).status_code == 200, "verify")

# The library refreshes an expired access token automatically.
updates = []
expired = dict(second, expires_at=1)
automatic = public_session(
    token=expired,
    auto_refresh_url=TOKEN,
    auto_refresh_kwargs={"client_id": CLIENT},
    token_updater=updates.append,
)
check(automatic.get(TARGET["issuer"] + "/oauth/verify", timeout=WAIT).status_code == 200, "auto")
check(len(updates) == 1 and updates[0]["refresh_token"] != second["refresh_token"], "auto refresh")
third = updates[0]

for kind in ("access_token", "refresh_token"):
    check(introspect(third[kind])["active"] is True, f"{kind} is not active")
    url, headers, body = session._client.prepare_token_revocation_request(
        TARGET["issuer"] + "/oauth/revoke", third[kind], token_type_hint=kind, client_id=CLIENT
    )
    answer = requests.post(url, headers=headers, data=body, timeout=WAIT)
    check(answer.status_code == 200, answer.text)
    check(introspect(third[kind]) == {"active": False}, f"{kind} is active after its revocation")
expect_error(
    InvalidGrantError,
    public_session(token=third).refresh_token,
    TOKEN,
    client_id=CLIENT,
    timeout=WAIT,
)

expect_error(InvalidGrantError, log_in, public_session(), password="wrong", include_client_id=True)
expect_error(InvalidScopeError, log_in, public_session(), scope="other", include_client_id=True)
expect_error(InvalidClientError, log_in, public_session(), client_secret="wrong")

machine = OAuth2Session(client=BackendApplicationClient(client_id=BACKEND[0]))
own = machine.fetch_token(TOKEN, client_secret=BACKEND[1], timeout=WAIT)
check("refresh_token" not in own, own)
claims = introspect(own["access_token"])
check(claims["active"] is True and claims["sub"] == BACKEND[0] and "username" not in claims, claims)
print("done")
