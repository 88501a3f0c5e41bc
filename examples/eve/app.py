"""An API in Eve in which each user has access to their own resources only.

Sentinel publishes each access token in Redis, as a key whose value is the user's id
(redis.publish_tokens). A token is active if its key exists; revoking the token deletes the key at
once. So the API does not call Sentinel. BearerAuth of Eve-OAuth2 does the same, and works with
Sentinel unchanged.
"""

import os
import re

from eve import Eve
from eve.auth import BasicAuth
from flask import abort, make_response, request
from redis import Redis, RedisError

# Redis also contains other keys, so only texts in the format of a token are looked up.
TOKEN = re.compile(r"[A-Za-z0-9_]{20,100}")


class BearerAuth(BasicAuth):
    """Requires an active access token (RFC 6750 section 2.1)."""

    def __init__(self):
        super().__init__()
        self.redis = Redis.from_url(
            os.environ["REDIS_URL"],
            decode_responses=True,
            socket_timeout=2,
            socket_connect_timeout=2,
        )

    def authorized(self, allowed_roles, resource, method):
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return False
        return self.check_auth(token.strip(), allowed_roles, resource, method)

    def check_auth(self, token, allowed_roles, resource, method):
        if not TOKEN.fullmatch(token):
            return False
        try:
            user = self.redis.get(token)
        except RedisError:
            # The token may be valid, so the response is not 401.
            abort(make_response({"error": "temporarily_unavailable"}, 503, {"Retry-After": "1"}))
        if user is None:
            return False
        # Eve's auth_field: the user owns what they add, and has access to nothing else.
        self.set_request_auth_value(user)
        return True

    def authenticate(self):
        # RFC 6750 section 3: no `error` if the request has no token.
        challenge = 'Bearer realm="notes"'
        if request.headers.get("Authorization", "").lower().startswith("bearer "):
            challenge += ', error="invalid_token"'
        abort(make_response({"error": "unauthorized"}, 401, {"WWW-Authenticate": challenge}))


def create_app():
    """Creates the application, for `flask --app examples/eve/app.py run`."""
    return Eve(
        auth=BearerAuth,
        settings={
            "MONGO_URI": os.environ["MONGO_URI"],
            "RENDERERS": ["eve.render.JSONRenderer"],
            "RESOURCE_METHODS": ["GET", "POST"],
            "ITEM_METHODS": ["GET", "DELETE"],
            "AUTH_FIELD": "owner",
            "DOMAIN": {"notes": {"schema": {"text": {"type": "string", "required": True}}}},
        },
    )
