"""An API in Eve whose resources belong to the users that tokens were issued to.

Sentinel publishes each access token in Redis, as a key that holds the user's id (redis.publish_tokens).
So there is nothing to ask Sentinel: a token is alive if it is there, and it goes at once when it is
revoked. This is what Eve-OAuth2's BearerAuth does, which works with Sentinel as it is.
"""

import os
import re

from eve import Eve
from eve.auth import BasicAuth
from flask import abort, make_response, request
from redis import Redis, RedisError

# Whatever is not written like a token is no key to ask for: Redis holds other things, too.
TOKEN = re.compile(r"[A-Za-z0-9_]{20,100}")


class BearerAuth(BasicAuth):
    """Lets in whoever has a live access token (RFC 6750 section 2.1)."""

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
            # Not knowing is no reason to send the user away.
            abort(make_response({"error": "temporarily_unavailable"}, 503, {"Retry-After": "1"}))
        if user is None:
            return False
        # What the user adds belongs to the user, and the user sees nothing else (Eve's auth_field).
        self.set_request_auth_value(user)
        return True

    def authenticate(self):
        # RFC 6750 section 3: no error where no token was sent.
        challenge = 'Bearer realm="notes"'
        if request.headers.get("Authorization", "").lower().startswith("bearer "):
            challenge += ', error="invalid_token"'
        abort(make_response({"error": "unauthorized"}, 401, {"WWW-Authenticate": challenge}))


def create_app():
    """For `flask --app examples/eve/app.py run`."""
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
