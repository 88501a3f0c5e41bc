<?php
// A resource server in PHP that introspects tokens with Sentinel (RFC 7662).

declare(strict_types=1);

function refuse(int $status, string ...$headers): never
{
    array_map(header(...), $headers);
    // After the headers, because WWW-Authenticate sets the status to 401.
    http_response_code($status);
    exit;
}

/** Returns the claims of a token. Answers 503 if Sentinel does not. */
function introspect(string $token): array
{
    // RFC 6749 section 2.3.1: id and secret are form-encoded before they go into the header.
    $credentials = urlencode(getenv('CLIENT_ID')) . ':' . urlencode(getenv('CLIENT_SECRET'));
    $context = stream_context_create(['http' => [
        'method' => 'POST',
        'header' => [
            'Authorization: Basic ' . base64_encode($credentials),
            'Content-Type: application/x-www-form-urlencoded',
        ],
        'content' => http_build_query(['token' => $token]),
        'timeout' => 2,
        'follow_location' => 0,
    ]]);
    // Any status but 200 fails: 401 and 403 mean that the credentials of this server are wrong.
    $body = @file_get_contents(getenv('SENTINEL_URL') . '/oauth/introspect', false, $context);
    $claims = $body === false ? null : json_decode($body, true);
    if (!is_array($claims)) {
        error_log('cannot introspect a token: ' . ($http_response_header[0] ?? error_get_last()['message'] ?? $body));
        refuse(503);
    }
    return $claims;
}

/** Returns the principal of a token that has the scope. */
function principal(string $scope): string
{
    [$scheme, $token] = explode(' ', $_SERVER['HTTP_AUTHORIZATION'] ?? '', 2) + ['', ''];
    if (strcasecmp($scheme, 'Bearer') !== 0) {
        refuse(401, 'WWW-Authenticate: Bearer');
    }
    $claims = introspect(trim($token));
    if (($claims['active'] ?? null) !== true) {
        refuse(401, 'WWW-Authenticate: Bearer error="invalid_token"');
    }
    if (!in_array($scope, explode(' ', $claims['scope'] ?? ''), true)) {
        refuse(403, 'WWW-Authenticate: Bearer error="insufficient_scope", scope="' . $scope . '"');
    }
    return $claims['sub'];
}

header('Content-Type: text/plain; charset=UTF-8');
echo match ($_SERVER['REQUEST_METHOD'] . ' ' . strtok($_SERVER['REQUEST_URI'], '?')) {
    'GET /me' => principal('read'),
    'POST /notes' => principal('write'),
    'GET /public' => 'public',
    default => refuse(404),
};
