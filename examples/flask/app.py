"""A resource server in Flask that introspects tokens with Sentinel (RFC 7662).

Environment: INTROSPECTION_URL, CLIENT_ID and CLIENT_SECRET. The client must be confidential and have
the introspection permission.
"""

import functools
import os
import threading
from urllib.parse import quote_plus

import requests
from flask import Flask, g, jsonify, request

INTROSPECTION_URL = os.environ["INTROSPECTION_URL"]
# RFC 6749 section 2.3.1: id and secret are form-encoded before they go into the header.
CREDENTIALS = (quote_plus(os.environ["CLIENT_ID"]), quote_plus(os.environ["CLIENT_SECRET"]))
TIMEOUT = 2  # seconds

app = Flask(__name__)
local = threading.local()


class Unavailable(Exception):
    """Sentinel cannot be reached, or its response cannot be used."""


def introspect(token):
    """Introspects a token. Not cached, so that a revoked token is rejected at the next request."""
    if not hasattr(local, "http"):
        local.http = requests.Session()  # keeps its connection open
    try:
        response = local.http.post(
            INTROSPECTION_URL,
            data={"token": token},
            auth=CREDENTIALS,
            timeout=TIMEOUT,
            allow_redirects=False,
        )
        claims = response.json()
    except (requests.RequestException, ValueError) as error:
        raise Unavailable(str(error)) from error
    # 401 and 403 mean that the credentials of this server are wrong, not the token of the caller.
    if response.status_code != 200 or not isinstance(claims, dict):
        raise Unavailable(f"introspection returned {response.status_code}")
    return claims


def bearer_token():
    """Returns the token in the Authorization header, the only accepted place (RFC 6750 section 2.1)."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip(" ") if scheme.lower() == "bearer" else None


def refuse(status, error=None, **parameters):
    """Returns an error response (RFC 6750 section 3), without `error` if the request has no token."""
    challenge = {"realm": "notes", **({"error": error} if error else {}), **parameters}
    response = jsonify(error=error or "token_missing")
    response.headers["WWW-Authenticate"] = "Bearer " + ", ".join(
        f'{name}="{value}"' for name, value in challenge.items()
    )
    return response, status


def require_scopes(*scopes):
    """Requires an active access token with all of these scopes for a view."""

    def decorate(view):
        @functools.wraps(view)
        def guarded(*args, **kwargs):
            token = bearer_token()
            if token is None:
                return refuse(401)
            claims = introspect(token) if token else {}
            # Introspection may report refresh tokens as active too; they grant no access.
            if claims.get("active") is not True or claims.get("token_type") != "Bearer":
                return refuse(401, "invalid_token")
            if not set(scopes) <= set(claims.get("scope", "").split()):
                return refuse(403, "insufficient_scope", scope=" ".join(scopes))
            g.token = claims
            return view(*args, **kwargs)

        return guarded

    return decorate


@app.errorhandler(Unavailable)
def unavailable(error):
    app.logger.error("cannot introspect a token: %s", error)
    return jsonify(error="temporarily_unavailable"), 503, {"Retry-After": "2"}


@app.get("/me")
@require_scopes("read")
def me():
    # `sub` is the id of the user, or of the client if the token has no user.
    return jsonify(id=g.token["sub"], username=g.token.get("username"), client=g.token["client_id"])


@app.post("/notes")
@require_scopes("read", "write")
def add_note():
    return jsonify(by=g.token["sub"], note=request.get_data(as_text=True)), 201
