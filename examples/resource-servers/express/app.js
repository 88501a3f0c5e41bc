// A resource server in Express that introspects tokens with Sentinel (RFC 7662).

import express from "express";

const { SENTINEL_URL, CLIENT_ID, CLIENT_SECRET, PORT = "8082" } = process.env;

// RFC 6749 section 2.3.1: id and secret are form-encoded before they go into the header.
const encode = (text) => new URLSearchParams([["", text]]).toString().slice(1);
const CREDENTIALS = "Basic " + Buffer.from(`${encode(CLIENT_ID)}:${encode(CLIENT_SECRET)}`).toString("base64");

async function introspect(token) {
  const response = await fetch(`${SENTINEL_URL}/oauth/introspect`, {
    method: "POST",
    headers: { Authorization: CREDENTIALS },
    body: new URLSearchParams({ token }),
    signal: AbortSignal.timeout(2000),
  });
  // 401 and 403 mean that the credentials of this server are wrong, not the token.
  if (!response.ok) throw new Error(`introspection returned ${response.status}`);
  return response.json();
}

/** Lets requests pass whose token has the scope, and sets `request.principal`. */
const guard = (scope) => async (request, response, next) => {
  const refuse = (status, challenge) => response.status(status).set("WWW-Authenticate", challenge).end();
  const [scheme, ...rest] = (request.get("Authorization") ?? "").split(" ");
  if (scheme.toLowerCase() !== "bearer") return refuse(401, "Bearer");
  let claims;
  try {
    claims = await introspect(rest.join(" ").trim());
  } catch (error) {
    console.error("cannot introspect a token:", error.message);
    return response.status(503).end();
  }
  if (claims.active !== true) return refuse(401, 'Bearer error="invalid_token"');
  if (!(claims.scope ?? "").split(" ").includes(scope)) {
    return refuse(403, `Bearer error="insufficient_scope", scope="${scope}"`);
  }
  request.principal = claims.sub;
  next();
};

const app = express();
const name = (request, response) => response.type("text").send(request.principal);
app.get("/me", guard("read"), name);
app.post("/notes", guard("write"), name);
app.get("/public", (_request, response) => response.type("text").send("public"));
app.listen(Number(PORT), "127.0.0.1");
