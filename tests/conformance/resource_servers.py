#!/usr/bin/env python3
"""Runs the resource servers in examples/resource-servers/ against Sentinel.

Usage: resource_servers.py SENTINEL [SERVER...]

SENTINEL is the binary. SERVER is a name in SERVERS; the default is all. A server whose programs are not installed is
skipped with a message if none was named. Dependencies come by the package manager of each server, into .cache/.
Prints one line for each check and exits with 1 if one failed. Needs only Python's standard library.
"""

import base64
import http.client
import http.server
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import typing

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.append(str(ROOT / "tests" / "proxies"))
from check import FIELDS, PASSWORD, Program, Sentinel, free_port, wait_for  # noqa: E402

EXAMPLES = ROOT / "examples" / "resource-servers"
CACHE = ROOT / ".cache" / "resource-servers"
FORGED = {f"X-Auth-{field}": "forged" for field in FIELDS}


def build(*command):
    """Returns a function that runs a build in the copy of an example."""
    def run(folder):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout[-3000:]}{done.stderr[-3000:]}")
    return run


def virtual_environment(folder):
    build(sys.executable, "-m", "venv", "venv")(folder)
    build("venv/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
          "-r", "requirements.txt")(folder)


class Server(typing.NamedTuple):
    """How an example is built and run, and what docs/resource-servers.md says of it."""

    programs: list
    build: typing.Callable
    # Returns the command for a port.
    command: typing.Callable
    # The status if Sentinel cannot be reached, or does not answer. None: the server waits without a limit.
    unreachable: int = 503
    silent: int | None = 503
    # The attribute of the test's user that GET takes for the name of the principal. POST takes the id.
    name: str = "user"
    # Whether the example is a proxy, with an API behind it. Oathkeeper's 401 has no challenge.
    is_proxy: bool = False


SERVERS = {
    "spring": Server(["mvn", "java"], build("mvn", "-q", "-B", "package"),
                     lambda port: ["java", "-Dsun.net.client.defaultConnectTimeout=2000",
                                   "-Dsun.net.client.defaultReadTimeout=2000", "-jar", "target/api.jar"],
                     unreachable=500, silent=500),
    "quarkus": Server(["mvn", "java"], build("mvn", "-q", "-B", "package"),
                      lambda port: ["java", "-jar", "target/quarkus-app/quarkus-run.jar"],
                      unreachable=401, silent=401, name="username"),
    "go": Server(["go"], build("go", "build", "-o", "api", "."), lambda port: ["./api"]),
    "fastapi": Server([], virtual_environment,
                      lambda port: ["venv/bin/python", "-m", "uvicorn", "app:app", "--port", str(port)]),
    "express": Server(["node", "npm"], build("npm", "install", "--no-audit", "--no-fund", "--loglevel=error"),
                      lambda port: ["node", "app.js"]),
    "php": Server(["php"], lambda folder: None, lambda port: ["php", "-S", f"127.0.0.1:{port}", "index.php"]),
    "oathkeeper": Server(["oathkeeper"], lambda folder: None,
                         lambda port: ["oathkeeper", "serve", "--config", "oathkeeper.yaml"],
                         unreachable=500, silent=None, is_proxy=True),
}


def stop(process):
    """Stops a child process without ending it, and returns when all of its threads are stopped."""
    os.kill(process, signal.SIGSTOP)
    os.waitpid(process, os.WUNTRACED)


class Api:
    """The API behind a proxy. It answers with the user id of the proxy, and names forged headers."""

    def __init__(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                forged = "forged" in self.headers.values()
                text = "forged" if forged else self.headers.get("X-Auth-User-Id") or "public"
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_POST = answer

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                """Ignores connections that a proxy resets when it stops."""

        server = Server(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()


class Checks:
    def __init__(self, name, server, sentinel, port):
        self.name, self.server, self.sentinel, self.port, self.failed = name, server, sentinel, port, 0

    def check(self, what, passed, seen=None):
        print(f"{'ok' if passed else 'FAILED'}: {self.name}: {what}" + ("" if passed else f": {seen}"), flush=True)
        self.failed += not passed

    def send(self, method, path, token=None, timeout=20):
        """Returns the status, the challenge and the body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        headers = {} if token is None else {"Authorization": f"Bearer {token}", **FORGED}
        try:
            connection.request(method, path, b"" if method == "POST" else None, headers)
            response = connection.getresponse()
            return response.status, response.headers.get("WWW-Authenticate", ""), response.read().decode()
        except socket.timeout:
            return None, "", ""
        finally:
            connection.close()

    def status(self, what, expected, method, path, token=None):
        seen = self.send(method, path, token)
        self.check(f"{what} is {expected}", seen[0] == expected, seen)
        return seen

    def run(self, scopeless):
        sentinel = self.sentinel
        form = {"grant_type": "password", "username": "alice", "password": PASSWORD}
        pair = sentinel.post("/oauth/token", client_id=sentinel.client, **form)
        token, own = pair["access_token"], sentinel.own_token()
        without = sentinel.post("/oauth/token", client_id=scopeless, **form)["access_token"]
        for method, path in (("GET", "/me"), ("POST", "/notes")):
            user = "alice" if (method, self.server.name) == ("GET", "username") else sentinel.user
            for what, bearer, name in (("user", token, user), ("client", own, sentinel.backend)):
                seen = self.send(method, path, bearer)
                self.check(f"{method} gets the documented name of a {what}", (seen[0], seen[2]) == (200, name), seen)
            for what, bearer in (("without a token", None), ("with an invalid token", "sna_nonsense"),
                                 ("with a refresh token", pair["refresh_token"])):
                seen = self.status(f"{method} {what}", 401, method, path, bearer)
                challenge = "" if self.server.is_proxy else "Bearer"
                self.check(f"{method} {what} has the challenge", seen[1].partition(" ")[0] == challenge, seen)
            self.status(f"{method} with a token without scopes", 403, method, path, without)
        self.status("GET with the wrong scope", 403, "GET", "/me", sentinel.login(scope="write"))
        self.status("POST with the wrong scope", 403, "POST", "/notes", sentinel.login(scope="read"))
        for what, bearer in (("no token", None), ("a token", token), ("a token without scopes", without)):
            seen = self.send("GET", "/public", bearer)
            self.check(f"a public path with {what} is 200 and without an identity", seen[::2] == (200, "public"), seen)
        revoked = sentinel.login()
        self.status("a token before its revocation", 200, "GET", "/me", revoked)
        sentinel.revoke(revoked)
        self.status("a token after its revocation", 401, "GET", "/me", revoked)
        silent = self.server.silent
        stop(sentinel.program.process.pid)
        try:
            # The limit of the examples is two seconds.
            seen = self.send("GET", "/me", token, timeout=8)
        finally:
            os.kill(sentinel.program.process.pid, signal.SIGCONT)
        self.check(f"while Sentinel is silent, the answer is {silent}", seen[0] == silent, seen)
        sentinel.program.stop()
        self.status("without Sentinel, the answer", self.server.unreachable, "GET", "/me", token)
        self.status("without Sentinel, a public path", 200, "GET", "/public")
        sentinel.start()
        self.status("the token after Sentinel has started again", 200, "GET", "/me", token)


def run_one(name, sentinel, api, scopeless):
    """Builds and runs one example, and returns the number of failed checks."""
    server, place, port = SERVERS[name], CACHE / name, free_port()
    begin = time.monotonic()
    # Results of earlier builds are kept, but no sources.
    shutil.rmtree(place / "src", ignore_errors=True)
    shutil.copytree(EXAMPLES / name, place, dirs_exist_ok=True)
    server.build(place)
    built = time.monotonic()
    if server.is_proxy:
        credentials = base64.b64encode(f"{sentinel.backend}:{sentinel.secret}".encode()).decode()
        for file in place.glob("*.yaml"):
            text = file.read_text()
            for old, new in (("127.0.0.1:5000", f"127.0.0.1:{sentinel.port}"), ("port: 8080", f"port: {port}"),
                             ("port: 4456", f"port: {free_port()}"), ("127.0.0.1:8081", f"127.0.0.1:{api.port}"),
                             ("API_CREDENTIALS", credentials)):
                text = text.replace(old, new)
            file.write_text(text)
    environment = {
        "SENTINEL_URL": f"http://127.0.0.1:{sentinel.port}", "CLIENT_ID": sentinel.backend,
        "CLIENT_SECRET": sentinel.secret, "PORT": str(port), "HOME": str(place),
    }
    running = Program(server.command(port), port, place, environment)
    checks = Checks(name, server, sentinel, port)
    try:
        # Some servers listen before they have read their routes.
        wait_for(lambda: checks.send("GET", "/public")[0] == 200, f"{name} does not answer")
        checks.run(scopeless)
    finally:
        if checks.failed:
            print(running.output())
        running.stop()
    print(f"{name}: built in {built - begin:.0f} s, checked in {time.monotonic() - built:.0f} s", flush=True)
    return checks.failed


def main(binary, *wanted):
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        sentinel = Sentinel(str(pathlib.Path(binary).resolve()), pathlib.Path(folder))
        try:
            scopeless, api = sentinel.command("client", "add")["client_id"], Api()
            for name in wanted or SERVERS:
                missing = [program for program in SERVERS[name].programs if not shutil.which(program)]
                if missing and not wanted:
                    print(f"{name} is skipped: {' and '.join(missing)} not installed")
                    continue
                try:
                    failed += run_one(name, sentinel, api, scopeless)
                except RuntimeError as error:
                    print(f"FAILED: {name}: {error}")
                    failed += 1
        finally:
            sentinel.program.stop()
    print("FAILED" if failed else "done")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
