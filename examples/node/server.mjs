// A resource server in Node.js (20 or newer, no packages) that introspects tokens with Sentinel (RFC 7662).
//
// Environment: INTROSPECTION_URL, CLIENT_ID, CLIENT_SECRET and PORT. The client must be confidential and have the
// introspection permission.

import { createServer } from "node:http";

const { INTROSPECTION_URL, CLIENT_ID, CLIENT_SECRET, PORT = "8082" } = process.env;
for (const [name, value] of Object.entries({ INTROSPECTION_URL, CLIENT_ID, CLIENT_SECRET })) {
  if (!value) throw new Error(`${name} is not set`);
}

const TIMEOUT = 2000; // milliseconds
const MAX_BODY = 64 * 1024;

// RFC 6749 section 2.3.1: id and secret are form-encoded before they go into the header.
const encode = (text) => new URLSearchParams([["", text]]).toString().slice(1);
const CREDENTIALS = "Basic " + Buffer.from(`${encode(CLIENT_ID)}:${encode(CLIENT_SECRET)}`).toString("base64");

/** Error that is sent as the response. */
class HttpError extends Error {
  constructor(status, error, headers) {
    super(error);
    Object.assign(this, { status, headers });
  }
}

/** Creates an error response with a challenge (RFC 6750 section 3), without `error` if the request has no token. */
function challenge(status, error, parameters = {}) {
  const values = { realm: "notes", ...(error && { error }), ...parameters };
  const list = Object.entries(values).map(([name, value]) => `${name}="${value}"`);
  return new HttpError(status, error ?? "token_missing", { "WWW-Authenticate": `Bearer ${list.join(", ")}` });
}

/** Introspects a token. Responses are not cached, so that a revoked token is rejected at the next request. */
async function introspect(token) {
  try {
    const response = await fetch(INTROSPECTION_URL, {
      method: "POST",
      headers: { Authorization: CREDENTIALS },
      body: new URLSearchParams({ token }),
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT),
    });
    // 401 and 403 mean that the credentials of this server are wrong, not the token of the caller.
    if (response.status !== 200) throw new Error(`introspection returned ${response.status}`);
    const claims = await response.json();
    if (typeof claims !== "object" || claims === null) throw new Error("introspection returned no object");
    return claims;
  } catch (error) {
    console.error("cannot introspect a token:", error.message);
    throw new HttpError(503, "temporarily_unavailable", { "Retry-After": "2" });
  }
}

/** Returns user and client of a request that has an active access token with all of these scopes. */
async function authorize(request, ...scopes) {
  // Tokens are accepted in the Authorization header only (RFC 6750 section 2.1).
  const [scheme, ...rest] = (request.headers.authorization ?? "").split(" ");
  if (scheme.toLowerCase() !== "bearer") throw challenge(401);
  const token = rest.join(" ").trim();
  const claims = token ? await introspect(token) : {};
  // Introspection may report refresh tokens as active too; they grant no access.
  if (claims.active !== true || claims.token_type !== "Bearer") throw challenge(401, "invalid_token");
  const granted = new Set((claims.scope ?? "").split(" "));
  if (!scopes.every((scope) => granted.has(scope))) {
    throw challenge(403, "insufficient_scope", { scope: scopes.join(" ") });
  }
  return claims;
}

async function body(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > MAX_BODY) throw new HttpError(413, "too_large", { Connection: "close" });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

const routes = {
  // `sub` is the id of the user, or of the client if the token has no user.
  "GET /me": async (request) => {
    const { sub, username, client_id } = await authorize(request, "read");
    return [200, { id: sub, username: username ?? null, client: client_id }];
  },
  "POST /notes": async (request) => {
    const { sub } = await authorize(request, "read", "write");
    return [201, { by: sub, note: await body(request) }];
  },
};

const server = createServer(async (request, response) => {
  let [status, answer, headers] = [404, { error: "not_found" }, {}];
  try {
    const route = routes[`${request.method} ${request.url.split("?")[0]}`];
    if (route) [status, answer] = await route(request);
  } catch (error) {
    if (!(error instanceof HttpError)) console.error(error);
    ({ status = 500, headers = {} } = error);
    answer = { error: error instanceof HttpError ? error.message : "server_error" };
  }
  response.writeHead(status, { "Content-Type": "application/json", ...headers }).end(JSON.stringify(answer));
});

server.listen(Number(PORT), "127.0.0.1", () => console.log(`listening on ${server.address().port}`));
