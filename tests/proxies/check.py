#!/usr/bin/env python3
"""Runs reverse proxies with the configurations in examples/ between clients, Sentinel and an API.

Usage: check.py SENTINEL PROXY...

SENTINEL is the binary. PROXY is a name in PROXIES, or NAME=COMMAND for another command than the default.
Prints one line for each check and exits with 1 if one failed. Needs only Python's standard library.
"""

import http.client
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import typing
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
PASSWORD = "correct horse battery staple"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
FIELDS = ("User-Id", "Username", "Client-Id", "Scope")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(condition, what, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} within {seconds} s")
        time.sleep(0.02)


def listens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


class Program:
    """A program that serves on a port, stopped by `stop`."""

    def __init__(self, command, port, folder, environment=None):
        self.log = folder / "output"
        with open(self.log, "wb") as output:
            self.process = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True, env={"PATH": os.environ["PATH"] + ":/usr/sbin", **(environment or {})},
            )
        try:
            wait_for(lambda: self.ended() or listens(port), f"{command[0]} does not listen")
            if self.ended():
                raise RuntimeError(f"{command[0]} ended")
        except RuntimeError as error:
            self.stop()
            raise RuntimeError(f"{error}\n{self.output()}") from None

    def ended(self):
        return self.process.poll() is not None

    def output(self):
        return self.log.read_text(errors="replace")[-3000:]

    def stop(self):
        if not self.ended():
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                # The session contains the program's own children too.
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


class Api:
    """The API behind the proxy. It answers with what it received."""

    def __init__(self):
        self.calls = 0
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                api.calls += 1
                if self.headers.get("transfer-encoding", "").lower() == "chunked":
                    body = b""
                    while size := int(self.rfile.readline().split(b";")[0], 16):
                        body += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                else:
                    body = self.rfile.read(int(self.headers.get("content-length", 0)))
                text = json.dumps({
                    "method": self.command, "target": self.path, "headers": self.headers.items(), "body": len(body),
                }).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.send_header("Access-Control-Allow-Origin", "https://app.example")
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PUT = do_DELETE = do_OPTIONS = answer

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                """Ignores connections that a proxy resets when it stops."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Sentinel:
    """A server with a user, a public client, and a confidential client that may introspect."""

    def __init__(self, binary, folder):
        self.binary, self.folder, self.port = binary, folder, free_port()
        self.user = self.command("user", "add", "alice", "--password-stdin", typed=PASSWORD)["id"]
        scopes = ["--scope", "read", "--scope", "write", "--default-scope", "read", "--default-scope", "write"]
        self.client = self.command("client", "add", *scopes)["client_id"]
        more = ["--confidential", "--introspection", "--grant", "client_credentials"]
        backend = self.command("client", "add", *more, *scopes)
        self.backend, self.secret = backend["client_id"], backend["client_secret"]
        self.start()

    def command(self, *arguments, typed=""):
        done = subprocess.run(
            [self.binary, *arguments, "--json"], cwd=self.folder, input=typed, capture_output=True, text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"sentinel {' '.join(arguments)}: {done.stderr}")
        return json.loads(done.stdout)

    def start(self):
        self.program = Program([self.binary, "serve", "--bind", f"127.0.0.1:{self.port}"], self.port, self.folder)

    def post(self, path, **form):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("POST", path, urllib.parse.urlencode(form), FORM)
        response = connection.getresponse()
        body = json.loads(response.read())
        if response.status != 200:
            raise RuntimeError(f"{path}: {response.status} {body}")
        return body

    def login(self, **more):
        form = {"grant_type": "password", "client_id": self.client, "username": "alice", "password": PASSWORD, **more}
        return self.post("/oauth/token", **form)["access_token"]

    def own_token(self):
        form = {"grant_type": "client_credentials", "client_id": self.backend, "client_secret": self.secret}
        return self.post("/oauth/token", **form)["access_token"]

    def revoke(self, token):
        self.post("/oauth/revoke", client_id=self.client, token=token)


def copy(folder, source, names, replacements):
    """Copies the files of an example with other addresses."""
    for name in names:
        text = (EXAMPLES / source / name).read_text()
        for old, new in replacements.items():
            text = text.replace(old, new)
        (folder / name).write_text(text)


def nginx(file):
    def command(program, folder, addresses):
        names = [path.name for path in (EXAMPLES / "nginx").glob("*.conf")]
        copy(folder, "nginx", names, addresses)
        # The API of this script replaces the sample API.
        (folder / "sample-api.conf").write_text("")
        # As root, nginx would switch to a user that may not enter the folder.
        user = "user root;" if os.geteuid() == 0 else ""
        return [program, "-p", str(folder), "-c", str(folder / file), "-g", f"daemon off; {user}"]
    return command


def caddy(program, folder, addresses):
    copy(folder, "proxies", ["Caddyfile"], addresses)
    return [program, "run", "--config", "Caddyfile", "--adapter", "caddyfile"]


def haproxy(program, folder, addresses):
    copy(folder, "proxies", ["haproxy.cfg", "sentinel.lua"], addresses)
    return [program, "-db", "-f", "haproxy.cfg"]


def apache(program, folder, addresses):
    copy(folder, "proxies", ["apache.conf"], addresses)
    modules = "/usr/lib/apache2/modules"
    user = "User nobody\nGroup nogroup\n" if os.geteuid() == 0 else ""
    load = "mpm_event authn_core authz_core authz_user headers proxy proxy_http env setenvif rewrite oauth2"
    lines = "".join(f"LoadModule {name}_module {modules}/mod_{name}.so\n" for name in load.split())
    (folder / "site.conf").write_text(
        f"ServerRoot {folder}\nServerName localhost\nPidFile pid\nErrorLog /dev/stderr\n"
        f"Listen {addresses['127.0.0.1:8080']}\n{lines}{user}Include apache.conf\n"
    )
    return [program, "-D", "FOREGROUND", "-f", str(folder / "site.conf")]


def envoy(program, folder, addresses):
    copy(folder, "proxies", ["envoy.yaml"], addresses)
    return [program, "-c", "envoy.yaml", "--log-level", "warning", "--concurrency", "1", "--disable-hot-restart"]


def traefik(program, folder, addresses):
    copy(folder, "proxies", ["traefik.yaml", "traefik-dynamic.yaml"], addresses)
    return [program, "--configFile=traefik.yaml"]


class Proxy(typing.NamedTuple):
    """How a proxy is run, and what its configuration in examples/ promises."""

    program: str
    # Writes the configuration and returns the command.
    set_up: typing.Callable
    # For how many seconds a revoked token may pass.
    seconds: int = 0
    # The status if Sentinel cannot be reached.
    unavailable: int = 503
    # Whether headers that CGI and its like take for X-Auth-* are removed. Otherwise such requests are 400.
    removes_aliases: bool = True


PROXIES = {
    "nginx": Proxy("nginx", nginx("nginx.conf")),
    "nginx-cached": Proxy("nginx", nginx("nginx-cached.conf"), seconds=2),
    "caddy": Proxy("caddy", caddy),
    "haproxy": Proxy("haproxy", haproxy),
    "apache": Proxy("apache2", apache, unavailable=401, removes_aliases=False),
    "envoy": Proxy("envoy", envoy),
    "traefik": Proxy("traefik", traefik, unavailable=500),
}

def spellings(name):
    """Returns a header's name with the characters that CGI and its like take for a hyphen, also mixed."""
    for other in "_.":
        yield name.replace("-", other)
        yield name.replace("-", other, 1)
        yield other.join(name.rsplit("-", 1))


PLAIN = [(name, "forged") for field in FIELDS for name in (f"X-Auth-{field}", f"x-AUTH-{field}")]
ALIASES = [(name, "forged") for field in FIELDS for name in spellings(f"X-Auth-{field}")]


class Checks:
    def __init__(self, name, proxy, sentinel, api, port):
        self.name, self.proxy, self.sentinel, self.api, self.port, self.failed = name, proxy, sentinel, api, port, 0
        self.forged = PLAIN + (ALIASES if proxy.removes_aliases else [])

    def check(self, what, passed, seen=None):
        print(f"{'ok' if passed else 'FAILED'}: {self.name}: {what}" + ("" if passed else f": {seen}"))
        self.failed += not passed

    def send(self, method, target, token=None, headers=(), body=b"", chunked=False):
        """Returns status, headers, and the request as the API received it or None."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.putrequest(method, target)
        if token is not None:
            connection.putheader("Authorization", f"Bearer {token}")
        for name, value in headers:
            connection.putheader(name, value)
        if chunked:
            connection.putheader("Transfer-Encoding", "chunked")
        elif body or method == "POST":
            connection.putheader("Content-Length", str(len(body)))
        before = self.api.calls
        connection.endheaders()
        connection.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if chunked else body)
        response = connection.getresponse()
        answer = response.read()
        reached = json.loads(answer) if self.api.calls > before and response.status == 200 else None
        if self.api.calls > before and reached is None:
            reached = {"answer": answer.decode(errors="replace")}
        connection.close()
        return response.status, response.headers, reached

    def post(self, path, form):
        """Sends a form without a token, and returns the status."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("POST", path, urllib.parse.urlencode(form), FORM)
        status = connection.getresponse().status
        connection.close()
        return status

    @staticmethod
    def identity(request):
        """Returns the identity headers, by names as WSGI, CGI and PHP fold them, with all their values."""
        found = {}
        for name, value in request["headers"]:
            folded = re.sub("[^a-z0-9]", "_", name.lower())
            if folded.startswith("x_auth_") or folded == "authorization":
                found.setdefault(folded, []).append(value)
        return {name: values for name, values in found.items() if values != [""]}

    def run(self):
        sentinel, seconds, unavailable = self.sentinel, self.proxy.seconds, self.proxy.unavailable
        alice = {
            "x_auth_user_id": [sentinel.user], "x_auth_username": ["alice"],
            "x_auth_client_id": [sentinel.client], "x_auth_scope": ["read write"],
        }
        token, own = sentinel.login(), sentinel.own_token()
        status, _, seen = self.send("GET", "/api/x?scope=admin&user=no", token, self.forged)
        self.check("the API gets the token's identity in place of forged headers, and no token",
                   status == 200 and seen and self.identity(seen) == alice, (status, seen))
        target = seen and seen.get("target")
        self.check("path and query reach the API", target == "/api/x?scope=admin&user=no", seen)
        status, _, seen = self.send("GET", "/api/x?scope=read", token)
        # Sentinel takes it for the client's query, passed on, where the proxy sends X-Forwarded-Uri.
        self.check("a client's query equal to that of verify gives the client nothing",
                   (status, seen is not None) in ((200, True), (400, False)), (status, seen))
        for alias in () if self.proxy.removes_aliases else ALIASES:
            status, _, seen = self.send("GET", "/api/x", token, [alias])
            self.check(f"{alias[0]} is refused", (status, seen) == (400, None), (status, seen))
        backend = {"x_auth_client_id": [sentinel.backend], "x_auth_scope": ["read write"]}
        status, _, seen = self.send("GET", "/api/x", own, self.forged)
        self.check("a token without a user gives no user, forged or not",
                   status == 200 and seen and self.identity(seen) == backend, (status, seen))
        body = b"x" * 1_000_000
        for chunked in (False, True):
            status, _, seen = self.send("POST", "/api/x?a=b", token, self.forged, body, chunked)
            arrived = seen and (seen.get("method"), seen.get("body")) == ("POST", len(body))
            self.check(f"POST with a {'chunked ' if chunked else ''}body reaches the API",
                       status == 200 and arrived and self.identity(seen) == alice, (status, seen))
        for what, method in (("GET", "GET"), ("POST", "POST"), ("DELETE", "DELETE")):
            status, headers, seen = self.send(method, "/api/x?scope=read&user=required", headers=self.forged)
            challenge = headers.get("WWW-Authenticate", "")
            self.check(f"{what} without a token is 401 with a challenge", (status, seen) == (401, None)
                       and challenge.startswith("Bearer"), (status, challenge, seen))
        status, headers, seen = self.send("GET", "/api/x", "sna_nonsense", self.forged)
        challenge = headers.get("WWW-Authenticate", "")
        self.check("an invalid token is 401 with a challenge", (status, seen) == (401, None)
                   and "invalid_token" in challenge, (status, challenge, seen))
        narrow = sentinel.login(scope="write")
        status, headers, seen = self.send("GET", "/api/x?scope=write", narrow)
        challenge = headers.get("WWW-Authenticate", "")
        self.check("a token without the scope is 403 with a challenge", (status, seen) == (403, None)
                   and "insufficient_scope" in challenge, (status, challenge, seen))
        preflight = [("Origin", "https://app.example"), ("Access-Control-Request-Method", "POST")]
        status, headers, seen = self.send("OPTIONS", "/api/x", headers=preflight + self.forged)
        self.check("a preflight reaches the API without an identity",
                   status == 200 and seen and self.identity(seen) == {}, (status, seen))
        for headers in (preflight[:1], preflight[1:], []):
            status, _, seen = self.send("OPTIONS", "/api/x", headers=headers)
            self.check(f"OPTIONS with {len(headers)} of two preflight headers needs a token",
                       (status, seen) == (401, None), (status, seen))
        for path, form, expected in (
            ("/oauth/token", {"grant_type": "refresh_token", "client_id": sentinel.client, "refresh_token": "x"}, 400),
            ("/oauth/revoke", {"client_id": sentinel.client, "token": "x"}, 200),
            *((path, {}, 404) for path in ("/oauth/verify", "/oauth/introspect", "/oauth/management", "/readyz")),
        ):
            status = self.post(path, form)
            self.check(f"{path} is {expected}", status == expected, status)
        revoked = sentinel.login()
        status, _, seen = self.send("GET", "/api/x", revoked)
        self.check("a token passes before its revocation", status == 200, status)
        sentinel.revoke(revoked)
        time.sleep(seconds)
        status, _, seen = self.send("GET", "/api/x", revoked)
        self.check(f"a revoked token is 401 after {seconds} s", (status, seen) == (401, None), (status, seen))
        sentinel.program.stop()
        time.sleep(seconds)
        status, _, seen = self.send("GET", "/api/x", token, self.forged)
        self.check(f"without Sentinel the answer is {unavailable} and the API is not called",
                   (status, seen) == (unavailable, None), (status, seen))
        sentinel.start()


def main(binary, *wanted):
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "sentinel").mkdir()
        sentinel = Sentinel(str(pathlib.Path(binary).resolve()), folder / "sentinel")
        api = Api()
        try:
            for one in wanted:
                name, _, program = one.partition("=")
                proxy = PROXIES[name]
                place, port = folder / one.replace("/", "-"), free_port()
                place.mkdir()
                # Some proxies change to another user, who reads the files too.
                folder.chmod(0o755)
                addresses = {
                    "127.0.0.1:8080": f"127.0.0.1:{port}", "127.0.0.1:8081": f"127.0.0.1:{api.port}",
                    "127.0.0.1:5000": f"127.0.0.1:{sentinel.port}", "port_value: 8080": f"port_value: {port}",
                    "port_value: 8081": f"port_value: {api.port}", "port_value: 5000": f"port_value: {sentinel.port}",
                    "API_CLIENT_ID": sentinel.backend, "API_CLIENT_SECRET": sentinel.secret,
                }
                command = proxy.set_up(program or proxy.program, place, addresses)
                running = Program(command, port, place, {"HOME": str(place)})
                checks = Checks(one, proxy, sentinel, api, port)
                try:
                    # Traefik listens before it has read its routes.
                    wait_for(lambda: checks.send("GET", "/api/x")[0] == 401, f"{one} does not answer 401")
                    checks.run()
                finally:
                    if checks.failed:
                        print(running.output())
                    running.stop()
                failed += checks.failed
        finally:
            sentinel.program.stop()
    print("FAILED" if failed else "done")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
