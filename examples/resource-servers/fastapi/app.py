"""A resource server in FastAPI that introspects tokens with Sentinel (RFC 7662)."""

import logging
import os
from typing import Annotated
from urllib.parse import quote_plus

import httpx
from fastapi import Depends, FastAPI, HTTPException, Security
from fastapi.responses import PlainTextResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

# RFC 6749 section 2.3.1: id and secret are form-encoded before they go into the header.
CREDENTIALS = (quote_plus(os.environ["CLIENT_ID"]), quote_plus(os.environ["CLIENT_SECRET"]))
sentinel = httpx.AsyncClient(base_url=os.environ["SENTINEL_URL"], auth=CREDENTIALS, timeout=2)
bearer = HTTPBearer(auto_error=False)


def refuse(status, challenge):
    return HTTPException(status, headers={"WWW-Authenticate": challenge})


async def principal(
    required: SecurityScopes, header: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
):
    """Returns the principal of a token that has the required scopes."""
    if header is None:
        raise refuse(401, "Bearer")
    try:
        response = await sentinel.post("/oauth/introspect", data={"token": header.credentials})
        # 401 and 403 mean that the credentials of this server are wrong, not the token.
        response.raise_for_status()
        claims = response.json()
    except (httpx.HTTPError, ValueError) as error:
        logging.error("cannot introspect a token: %r", error)
        raise HTTPException(503) from error
    if claims.get("active") is not True:
        raise refuse(401, 'Bearer error="invalid_token"')
    if not set(required.scopes) <= set(claims.get("scope", "").split()):
        raise refuse(403, f'Bearer error="insufficient_scope", scope="{required.scope_str}"')
    return claims["sub"]


app = FastAPI(default_response_class=PlainTextResponse)


@app.get("/me")
async def me(name: Annotated[str, Security(principal, scopes=["read"])]):
    return name


@app.post("/notes")
async def add_note(name: Annotated[str, Security(principal, scopes=["write"])]):
    return name


@app.get("/public")
async def public():
    return "public"
