"""A resource server in Flask that asks Sentinel whose a token is (RFC 7662).

It is told by the environment whom to ask, and as which client: INTROSPECTION_URL, CLIENT_ID,
CLIENT_SECRET. The client has to be confidential and to hold the introspection permission.
"""

import functools
import os
import threading
from urllib.parse import quote_plus

import requests
from flask import Flask, g, jsonify, request

INTROSPECTION_URL = os.environ["INTROSPECTION_URL"]
# RFC 6749, 2.3.1: both are form-encoded before they go into the header.
CREDENTIALS = (quote_plus(os.environ["CLIENT_ID"]), quote_plus(os.environ["CLIENT_SECRET"]))
TIMEOUT = 2  # seconds

app = Flask(__name__)
local = threading.local()


class Unavailable(Exception):
    """Sentinel did not say whose the token is, so nobody knows."""


def introspect(token):
    """What Sentinel says of a token. Nothing is kept: a revoked token is refused by the next call."""
    if not hasattr(local, "http"):
        local.http = requests.Session()  # keeps its connection open
    try:
        answer = local.http.post(
            INTROSPECTION_URL,
            data={"token": token},
            auth=CREDENTIALS,
            timeout=TIMEOUT,
            allow_redirects=False,
        )
        said = answer.json()
    except (requests.RequestException, ValueError) as error:
        raise Unavailable(str(error)) from error
    # 401 and 403 are about this server's own credentials, and no fault of the caller's token.
    if answer.status_code != 200 or not isinstance(said, dict):
        raise Unavailable(f"introspection answered {answer.status_code}")
    return said


def bearer_token():
    """The token of the Authorization header (RFC 6750, 2.1), and of nowhere else."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip(" ") if scheme.lower() == "bearer" else None


def refuse(status, error=None, **parameters):
    """A refusal as in RFC 6750, 3. Without a token no error is named."""
    challenge = {"realm": "notes", **({"error": error} if error else {}), **parameters}
    answer = jsonify(error=error or "token_missing")
    answer.headers["WWW-Authenticate"] = "Bearer " + ", ".join(
        f'{name}="{value}"' for name, value in challenge.items()
    )
    return answer, status


def needs(*scopes):
    """Lets a view be called with a live access token that has all of these scopes only."""

    def decorate(view):
        @functools.wraps(view)
        def guarded(*args, **kwargs):
            token = bearer_token()
            if token is None:
                return refuse(401)
            said = introspect(token) if token else {}
            # A refresh token is alive too, and opens nothing.
            if said.get("active") is not True or said.get("token_type") != "Bearer":
                return refuse(401, "invalid_token")
            if not set(scopes) <= set(said.get("scope", "").split()):
                return refuse(403, "insufficient_scope", scope=" ".join(scopes))
            g.token = said
            return view(*args, **kwargs)

        return guarded

    return decorate


@app.errorhandler(Unavailable)
def unavailable(error):
    app.logger.error("cannot tell whose a token is: %s", error)
    return jsonify(error="temporarily_unavailable"), 503, {"Retry-After": "2"}


@app.get("/me")
@needs("read")
def me():
    # `sub` is the user's id, or the client's own id where a client acts for itself.
    return jsonify(id=g.token["sub"], username=g.token.get("username"), client=g.token["client_id"])


@app.post("/notes")
@needs("read", "write")
def add_note():
    return jsonify(by=g.token["sub"], note=request.get_data(as_text=True)), 201
