// openid-client: configured with the issuer only, and reads OAuth 2.0 metadata. The password grant uses its
// generic grant.

import assert from 'node:assert/strict';
import * as client from 'openid-client';

const target = JSON.parse(process.argv[2]);
const login = { username: target.username, password: target.password };

function discover(id, proof) {
  return client.discovery(new URL(target.issuer), id, undefined, proof, {
    algorithm: 'oauth2',
    // The server is on the loopback interface, without TLS.
    execute: [client.allowInsecureRequests],
    timeout: 20,
  });
}

async function expectError(call, code, status) {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof client.ResponseBodyError, error);
    assert.deepEqual([error.error, error.status], [code, status]);
    assert.ok(error.error_description);
    return true;
  });
}

const backend = await discover(
  target.backend_id, client.ClientSecretBasic(target.backend_secret));
const metadata = backend.serverMetadata();
assert.equal(metadata.introspection_endpoint, `${target.issuer}/oauth/introspect`);
assert.ok(metadata.grant_types_supported.includes('password'));

for (const [id, proof] of [
  [target.client_id, client.None()],
  [target.backend_id, client.ClientSecretPost(target.backend_secret)],
]) {
  const config = await discover(id, proof);
  const first = await client.genericGrantRequest(config, 'password', login);
  assert.equal(first.expires_in, 3600);
  const claims = await client.tokenIntrospection(backend, first.access_token);
  assert.deepEqual([claims.active, claims.username, claims.scope, claims.client_id, claims.sub],
    [true, target.username, 'read write', id, target.user_id]);

  const second = await client.refreshTokenGrant(config, first.refresh_token);
  assert.notEqual(second.refresh_token, first.refresh_token);
  assert.notEqual(second.access_token, first.access_token);
  const resource = new URL(`${target.issuer}/oauth/verify`);
  const passed = await client.fetchProtectedResource(config, second.access_token, resource, 'GET');
  assert.equal(passed.status, 200);

  for (const [token, hint] of [
    [second.access_token, 'access_token'],
    [second.refresh_token, 'refresh_token'],
  ]) {
    const parameters = { token_type_hint: hint };
    assert.equal((await client.tokenIntrospection(backend, token, parameters)).active, true);
    await client.tokenRevocation(config, token, parameters);
    assert.deepEqual(await client.tokenIntrospection(backend, token, parameters), { active: false });
  }
  await expectError(client.refreshTokenGrant(config, second.refresh_token), 'invalid_grant', 400);
  const wrong = { ...login, password: 'wrong' };
  await expectError(client.genericGrantRequest(config, 'password', wrong), 'invalid_grant', 400);
  // A token of another client is not revoked.
  const other = await client.genericGrantRequest(
    id === target.backend_id ? await discover(target.client_id, client.None()) : backend,
    'password', login);
  await expectError(client.tokenRevocation(config, other.access_token), 'invalid_grant', 400);
  assert.equal((await client.tokenIntrospection(backend, other.access_token)).active, true);
}

const own = await client.clientCredentialsGrant(backend);
assert.equal(own.refresh_token, undefined);
const claims = await client.tokenIntrospection(backend, own.access_token);
assert.deepEqual([claims.active, claims.sub, claims.username], [true, target.backend_id, undefined]);
console.log('done');
