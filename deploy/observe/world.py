"""A proxy with everything that can be observed turned on, its backends, clients, collector and Prometheus.

All on 127.0.0.1, on free ports, in a folder of their own; `World.close` ends every process that was started.
"""

import hashlib
import http.server
import json
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# Far above what anything here takes, on a machine that others use as well.
PATIENCE = 60.0
# Loopback addresses are never behind an outgoing proxy, whatever the environment says.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Failed(Exception):
    """Something did not come about; says what."""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for it in sockets:
            it.bind(("127.0.0.1", 0))
        return [it.getsockname()[1] for it in sockets]
    finally:
        for it in sockets:
            it.close()


def until(look, what, patience=PATIENCE):
    """Returns what `look` returns as soon as that is something."""
    end = time.monotonic() + patience
    while True:
        try:
            found = look()
        except OSError:
            found = None
        if found:
            return found
        if end < time.monotonic():
            raise Failed(f"did not come about within {patience:.0f} s: {what}")
        time.sleep(0.05)


def ask(method, url, body=None, headers=()):
    """(status, JSON) of an answer; errors are answers, too."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json", **dict(headers)}, method=method)
    try:
        with DIRECT.open(request, timeout=90) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


class Collector:
    """Takes spans by OTLP over HTTP, until it is closed."""

    def __init__(self, port):
        class Handler(http.server.BaseHTTPRequestHandler):
            # One request a connection (HTTP/1.0): when this ends, nothing of it goes on answering.
            def do_POST(self):  # noqa: N802 - the base class's name
                self.rfile.read(int(self.headers.get("content-length", 0)))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None


class World:
    def __init__(self, bascule, backend, prometheus):
        self.programs = {"bascule": bascule, "backend": backend, "prometheus": prometheus}
        self.folder = Path(tempfile.mkdtemp(prefix="bascule-observe-"))
        names = ("public", "secure", "admin", "prometheus", "collector", "primary", "secondary", "narrow", "copy")
        self.ports = dict(zip(names, free_ports(len(names))))
        self.log = open(self.folder / "log", "ab")
        self.started = []
        self.collector = None
        self.began = None
        self.sockets = []

    # ---- processes ----------------------------------------------------------------------------

    def start(self, *command):
        """In a group of its own, so that what it starts ends with it."""
        process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.PIPE, stdout=self.log, stderr=self.log,
            cwd=self.folder, start_new_session=True,
        )
        self.started.append(process)
        return process

    @staticmethod
    def end(process):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()

    def close(self):
        for process in reversed(self.started):
            self.end(process)
        for it in self.sockets:
            it.close()
        if self.collector:
            self.collector.close()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def last_words(self, lines=30):
        text = (self.folder / "log").read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def start_backend(self, name):
        at = f"127.0.0.1:{self.ports[name]}"
        process = self.start(self.programs["backend"], "--until-stdin-closes", "serve", "--name", name, "--listen", at)
        until(lambda: ask("GET", f"http://{at}/health")[0] == 200, f"backend {name}")
        return process

    def start_load(self, path, rate, *more):
        url = f"http://127.0.0.1:{self.ports['public']}{path}"
        return self.start(self.programs["backend"], "load", "--until-stdin-closes", "--rate", rate, *more, url)

    def open(self):
        self.make_certificate()
        token = hashlib.sha256(secrets.token_bytes(32)).hexdigest()
        (self.folder / "operator.sha256").write_text(token, encoding="utf-8")
        self.collector = Collector(self.ports["collector"])
        for name in ("primary", "secondary", "narrow", "copy"):
            setattr(self, name, self.start_backend(name))
        self.configure()
        self.start(self.programs["bascule"], "run", "--config", self.config)
        until(lambda: self.sidecar("GET", "/readyz")[0] == 200, "a proxy that is ready")
        self.start_prometheus()

    def start_prometheus(self):
        """With the rules and the intervals that deploy/ gives it, against this proxy."""
        deploy = ROOT / "deploy" / "prometheus"
        text = (deploy / "prometheus.yml").read_text(encoding="utf-8")
        text = text.replace('"proxy:9901"', f'"127.0.0.1:{self.ports["admin"]}"')
        text = text.replace("rules/*.yml", f"{deploy}/rules/*.yml").replace("evaluation_interval: 5s", "evaluation_interval: 1s")
        (self.folder / "prometheus.yml").write_text(text, encoding="utf-8")
        self.start(
            self.programs["prometheus"], "--config.file=prometheus.yml", "--storage.tsdb.path=data",
            f"--web.listen-address=127.0.0.1:{self.ports['prometheus']}", "--log.level=warn",
        )
        self.prometheus = f"http://127.0.0.1:{self.ports['prometheus']}"
        # It is ready long before it scrapes for the first time.
        scraped = lambda: ask("GET", f"{self.prometheus}/api/v1/query?query=up==1")[1]["data"]["result"]  # noqa: E731
        until(lambda: DIRECT.open(f"{self.prometheus}/-/ready", timeout=5).status == 200 and scraped(), "Prometheus")
        self.began = time.time()

    # ---- what is asked of the proxy -----------------------------------------------------------

    def sidecar(self, method, path, body=None, headers=()):
        return ask(method, f"http://127.0.0.1:{self.ports['admin']}{path}", body, headers)

    def order(self, path, body=None):
        """An order, which must be carried out."""
        status, answer = self.sidecar("POST", path, body or {})
        if status not in (200, 202):
            raise Failed(f"POST {path}: {status} {json.dumps(answer)[:300]}")
        return answer

    def pool(self, name="api"):
        return next(it for it in self.sidecar("GET", "/proxy/health")[1]["pools"] if it["name"] == name)

    def say_to(self, listener, text):
        """Sends bytes that are no request, and waits until the proxy has had enough of them."""
        with socket.create_connection(("127.0.0.1", self.ports[listener]), timeout=10) as it:
            it.sendall(text)
            while it.recv(4096):
                pass

    def ask_by_tls(self):
        context = ssl.create_default_context(cafile=str(self.folder / "cert.pem"))
        with socket.create_connection(("127.0.0.1", self.ports["secure"]), timeout=10) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as it:
                it.sendall(b"GET /api/data HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
                while it.recv(4096):
                    pass

    def read_log(self):
        """Becomes a reader of the live log, to the end of the run."""
        it = socket.create_connection(("127.0.0.1", self.ports["admin"]), timeout=10)
        it.sendall(
            b"GET /logs HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
            b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        if b" 101 " not in it.recv(4096):
            raise Failed("no live log")
        self.sockets.append(it)

    # ---- configuration ------------------------------------------------------------------------

    def make_certificate(self):
        """For a day, so that the alerts about its end have something to say."""
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
        command += ["-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)

    def configure(self, **changes):
        """Writes the configuration. What is said of `disk` is where records go: a full one is /dev/full."""
        self.config = self.folder / "bascule.yaml"
        self.config.write_text(json.dumps(self._configuration(**changes)), encoding="utf-8")

    def _configuration(self, weight=100, disk=None):
        url = lambda name: f"http://127.0.0.1:{self.ports[name]}"  # noqa: E731
        at = lambda name: f"127.0.0.1:{self.ports[name]}"  # noqa: E731
        record = lambda name: disk or str(self.folder / name)  # noqa: E731
        api = {
            # As in the demo: what takes long in service is to be seen within a run of a minute.
            "tiers": {"failback": {"after": "1s", "max_after": "1s"}},
            "health_check": {"http": {"path": "/health"}, "interval": "500ms", "rise": 2, "timeout": "400ms"},
            "outlier_detection": {"eject_for": {"base": "1s", "max": "1s"}},
            "backends": [
                {"name": "primary", "url": url("primary"), "tier": 0, "weight": weight},
                {"name": "secondary", "url": url("secondary"), "tier": 1},
            ],
        }
        narrow = {
            "backends": [{"name": "only", "url": url("narrow")}],
            "limits": {"max_requests": 1, "queue": 1, "queue_timeout": "1s"},
        }
        return {
            "version": 1,
            "listeners": {
                "public": {"address": at("public"), "limits": {"connections": 500}},
                "secure": {"address": at("secure"), "tls": {"certificates": [{"cert": "cert.pem", "key": "key.pem"}]}},
            },
            "routes": [
                {"name": "narrow", "match": {"path_prefix": "/delay/"}, "pool": "narrow"},
                {"name": "limited", "match": {"path_prefix": "/limited"}, "rewrite": {"path": "/api/data"}, "pool": "api",
                 "rate_limit": {"requests": 1, "burst": 1}},
                {"name": "rest", "pool": "api", "mirror": {"pool": "copy", "percent": "50%"}},
            ],
            "pools": {"api": api, "narrow": narrow, "copy": {"backends": [{"name": "copy", "url": url("copy")}]}},
            "limits": {"max_lag": "5s"},
            "history": {"file": str(self.folder / "history.redb")},
            "admin": {"address": at("admin"), "fault_injection": True, "audit": {"file": record("audit.jsonl")},
                      "auth": {"tokens": [{"name": "operator", "role": "operator", "sha256_file": "operator.sha256"}]}},
            "logging": {"access": {"file": record("access.log")}},
            "tracing": {"sample": "100%", "otlp": {"endpoint": f"http://{at('collector')}"}},
        }