// A resource server in Node.js (20 or newer, no packages) that asks Sentinel whose a token is (RFC 7662).
//
// It is told by the environment whom to ask, and as which client: INTROSPECTION_URL, CLIENT_ID, CLIENT_SECRET. The
// client has to be confidential and to hold the introspection permission. PORT is where it listens.

import { createServer } from "node:http";

const { INTROSPECTION_URL, CLIENT_ID, CLIENT_SECRET, PORT = "8082" } = process.env;
for (const [name, value] of Object.entries({ INTROSPECTION_URL, CLIENT_ID, CLIENT_SECRET })) {
  if (!value) throw new Error(`${name} is not set`);
}

const TIMEOUT = 2000; // milliseconds
const MAX_BODY = 64 * 1024;

// RFC 6749, 2.3.1: both are form-encoded before they go into the header.
const encode = (text) => new URLSearchParams([["", text]]).toString().slice(1);
const CREDENTIALS = "Basic " + Buffer.from(`${encode(CLIENT_ID)}:${encode(CLIENT_SECRET)}`).toString("base64");

/** A refusal, which becomes the answer. */
class Refusal extends Error {
  constructor(status, error, headers) {
    super(error);
    Object.assign(this, { status, headers });
  }
}

/** As in RFC 6750, 3. Without a token no error is named. */
function refusal(status, error, parameters = {}) {
  const challenge = { realm: "notes", ...(error && { error }), ...parameters };
  const list = Object.entries(challenge).map(([name, value]) => `${name}="${value}"`);
  return new Refusal(status, error ?? "token_missing", { "WWW-Authenticate": `Bearer ${list.join(", ")}` });
}

/** What Sentinel says of a token. Nothing is kept: a revoked token is refused by the next call. */
async function introspect(token) {
  try {
    const answer = await fetch(INTROSPECTION_URL, {
      method: "POST",
      headers: { Authorization: CREDENTIALS },
      body: new URLSearchParams({ token }),
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT),
    });
    // 401 and 403 are about this server's own credentials, and no fault of the caller's token.
    if (answer.status !== 200) throw new Error(`introspection answered ${answer.status}`);
    const said = await answer.json();
    if (typeof said !== "object" || said === null) throw new Error("introspection answered no object");
    return said;
  } catch (error) {
    console.error("cannot tell whose a token is:", error.message);
    throw new Refusal(503, "temporarily_unavailable", { "Retry-After": "2" });
  }
}

/** Whose the request is, if it has a live access token with all of these scopes. */
async function authorize(request, ...scopes) {
  // The Authorization header (RFC 6750, 2.1), and nowhere else.
  const [scheme, ...rest] = (request.headers.authorization ?? "").split(" ");
  if (scheme.toLowerCase() !== "bearer") throw refusal(401);
  const token = rest.join(" ").trim();
  const said = token ? await introspect(token) : {};
  // A refresh token is alive too, and opens nothing.
  if (said.active !== true || said.token_type !== "Bearer") throw refusal(401, "invalid_token");
  const granted = new Set((said.scope ?? "").split(" "));
  if (!scopes.every((scope) => granted.has(scope))) {
    throw refusal(403, "insufficient_scope", { scope: scopes.join(" ") });
  }
  return said;
}

async function body(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > MAX_BODY) throw new Refusal(413, "too_large", { Connection: "close" });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

const routes = {
  // `sub` is the user's id, or the client's own id where a client acts for itself.
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
    if (!(error instanceof Refusal)) console.error(error);
    ({ status = 500, headers = {} } = error);
    answer = { error: error instanceof Refusal ? error.message : "server_error" };
  }
  response.writeHead(status, { "Content-Type": "application/json", ...headers }).end(JSON.stringify(answer));
});

server.listen(Number(PORT), "127.0.0.1", () => console.log(`listening on ${server.address().port}`));
