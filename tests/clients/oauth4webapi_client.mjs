// oauth4webapi: reads the endpoints from the metadata, and validates each response strictly. The password
// grant uses its generic grant.

import assert from 'node:assert/strict';
import * as oauth from 'oauth4webapi';

const target = JSON.parse(process.argv[2]);
const login = { username: target.username, password: target.password };

// The server is on the loopback interface, without TLS.
const options = () => ({
  [oauth.allowInsecureRequests]: true,
  signal: AbortSignal.timeout(20_000),
});

const issuer = new URL(target.issuer);
const found = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...options() });
const server = await oauth.processDiscoveryResponse(issuer, found);
assert.equal(server.token_endpoint, `${target.issuer}/oauth/token`);

const backend = { client_id: target.backend_id };
const withSecret = oauth.ClientSecretBasic(target.backend_secret);

async function grant(client, proof, type, parameters) {
  const answer = await oauth.genericTokenEndpointRequest(
    server, client, proof, type, parameters, options());
  return oauth.processGenericTokenEndpointResponse(server, client, answer);
}

async function refresh(client, proof, token) {
  const answer = await oauth.refreshTokenGrantRequest(server, client, proof, token, options());
  return oauth.processRefreshTokenResponse(server, client, answer);
}

async function introspect(token) {
  const answer = await oauth.introspectionRequest(server, backend, withSecret, token, options());
  return oauth.processIntrospectionResponse(server, backend, answer);
}

async function expectError(call, code, status) {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof oauth.ResponseBodyError, error);
    assert.deepEqual([error.error, error.status], [code, status]);
    assert.equal(error.cause.error_uri, `${target.issuer}/oauth/errors`);
    return true;
  });
}

for (const [id, proof] of [
  [target.client_id, oauth.None()],
  [target.backend_id, withSecret],
  [target.backend_id, oauth.ClientSecretPost(target.backend_secret)],
]) {
  const client = { client_id: id };
  const first = await grant(client, proof, 'password', login);
  assert.deepEqual([first.token_type, first.expires_in], ['bearer', 3600]);
  const claims = await introspect(first.access_token);
  assert.equal(claims.active, true);
  assert.equal(claims.iss, target.issuer);
  assert.deepEqual([claims.username, claims.scope, claims.client_id, claims.sub],
    [target.username, 'read write', id, target.user_id]);

  const second = await refresh(client, proof, first.refresh_token);
  assert.notEqual(second.refresh_token, first.refresh_token);
  const resource = new URL(`${target.issuer}/oauth/verify`);
  const passed = await oauth.protectedResourceRequest(
    second.access_token, 'GET', resource, undefined, null, options());
  assert.equal(passed.status, 200);

  for (const token of [second.access_token, second.refresh_token]) {
    assert.equal((await introspect(token)).active, true);
    const answer = await oauth.revocationRequest(server, client, proof, token, options());
    await oauth.processRevocationResponse(answer);
    assert.deepEqual(await introspect(token), { active: false });
  }
  await expectError(refresh(client, proof, second.refresh_token), 'invalid_grant', 400);
  // The library can parse the challenge of `verify`.
  await assert.rejects(
    oauth.protectedResourceRequest(
      second.access_token, 'GET', resource, undefined, null, options()),
    (error) => {
      assert.ok(error instanceof oauth.WWWAuthenticateChallengeError, error);
      assert.equal(error.cause[0].scheme, 'bearer');
      assert.equal(error.cause[0].parameters.error, 'invalid_token');
      return true;
    },
  );
}

const app = { client_id: target.client_id };
await expectError(
  grant(app, oauth.None(), 'password', { ...login, password: 'wrong' }), 'invalid_grant', 400);
await expectError(grant(app, oauth.None(), 'password', { ...login, scope: 'x' }), 'invalid_scope', 400);
// The library reports the challenge of a 401 response before its body.
await assert.rejects(
  grant(backend, oauth.ClientSecretBasic('wrong'), 'password', login),
  (error) => {
    assert.ok(error instanceof oauth.WWWAuthenticateChallengeError, error);
    assert.deepEqual([error.status, error.cause[0].scheme], [401, 'basic']);
    return true;
  },
);

const answer = await oauth.clientCredentialsGrantRequest(server, backend, withSecret, {}, options());
const own = await oauth.processClientCredentialsResponse(server, backend, answer);
assert.equal(own.refresh_token, undefined);
const claims = await introspect(own.access_token);
assert.deepEqual([claims.active, claims.sub, claims.username], [true, target.backend_id, undefined]);
console.log('done');
