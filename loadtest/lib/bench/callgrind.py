"""Instructions per request, counted by callgrind. Client and server are threads of this process."""

import contextlib
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from lib.bench.load import read_answer
from lib.drills.world import CannotBegin, Processes, accepts, wait_for

CONNECTIONS = 4
# Before it is counted: connections are made, memory is laid out, what is done once is done.
WARM_UP, COUNTED = 120, 400
TOOLS = {"valgrind": "apt-get install valgrind", "callgrind_control": "apt-get install valgrind", "openssl": "apt-get install openssl"}

GET = b"GET /1k HTTP/1.1\r\nHost: bench.example\r\n\r\n"
POST = b"POST /1k HTTP/1.1\r\nHost: bench.example\r\nContent-Length: 4096\r\n\r\n" + b"x" * 4096
# What a browser sends, more or less.
BROWSER = (
    b"GET /1k?a=b HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101\r\n"
    b"Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n"
    b"Accept-Encoding: gzip, deflate, br\r\nReferer: https://bench.example/\r\nCookie: a=b; session=0123456789abcdef\r\n"
    b"Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\nCache-Control: max-age=0\r\n\r\n"
)
ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Thu, 26 Nov 2026 13:55:08 GMT\r\nContent-Type: application/octet-stream\r\n"
    b"Content-Length: 1024\r\nLast-Modified: Thu, 26 Nov 2026 13:00:00 GMT\r\nConnection: keep-alive\r\n"
    b'ETag: "6560-400"\r\nAccept-Ranges: bytes\r\n\r\n' + b"x" * 1024
)

CONFIG = """version: 1
threads: 1
listeners:
  plain: {{ address: "{plain}" }}
  secure: {{ address: "{secure}", http2: true, tls: {{ certificates: [{{ cert: "{folder}/cert.pem", key: "{folder}/key.pem" }}] }} }}
routes:
  - {{ name: rest, pool: api }}
pools:
  api:
    backends: [{{ name: b0, url: "http://{origin}" }}]
    health_check: {{ http: {{ path: /health }}, interval: 60s }}
admin: {{ address: "{admin}" }}
logging: {{ level: warn }}
"""


@dataclass(frozen=True)
class Case:
    """A kind of request, and what it may cost: a seventh more than when that was last looked at:
    other builds of the system's library copy in other steps."""

    name: str
    says: str
    at_most: int
    request: bytes = GET
    tls: bool = False
    h2: bool = False

    def cannot(self):
        """Why it cannot be counted here; None if it can."""
        if self.h2 and not shutil.which("h2load"):
            return "h2load is missing; run: apt-get install nghttp2-client"
        return None


CASES = {
    case.name: case
    for case in (
        Case("get", "GET, 1 KiB answer", 49_500),
        Case("web", "the same with the headers of a browser", 79_500, BROWSER),
        Case("post", "POST 4 KiB, 1 KiB answer", 55_500, POST),
        Case("tls", "GET over TLS", 60_000, tls=True),
        Case("h2", "GET over HTTP/2 and TLS", 112_000, tls=True, h2=True),
    )
}


def missing(bascule):
    """What is not there, each with its remedy."""
    lacking = [f"{tool} is missing; run: {remedy}" for tool, remedy in TOOLS.items() if not shutil.which(tool)]
    if not Path(bascule).exists():
        lacking.append(f"{bascule} is missing; run: cargo build --release -p bascule")
    return lacking


def origin():
    """Starts a server that answers everything alike; returns its address."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve(connection):
        # A proxy that is ended ends its connections as well.
        with connection, contextlib.suppress(ConnectionResetError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            data = b""
            while piece := connection.recv(65536):
                data += piece
                while b"\r\n\r\n" in data:
                    head, _, body = data.partition(b"\r\n\r\n")
                    length = re.search(rb"(?i)content-length: *(\d+)", head)
                    length = int(length.group(1)) if length else 0
                    if len(body) < length:
                        break
                    data = body[length:]
                    connection.sendall(ANSWER)

    def accept():
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return "127.0.0.1:%d" % listening.getsockname()[1]


def free_address():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return "127.0.0.1:%d" % listening.getsockname()[1]


class Counted:
    """A proxy whose instructions are counted."""

    def __init__(self, bascule, folder, processes):
        self.folder = folder
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-subj", "/CN=bench", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
            check=True, capture_output=True,
        )
        self.plain, self.secure, admin = (free_address() for _ in range(3))
        text = CONFIG.format(plain=self.plain, secure=self.secure, admin=admin, folder=folder, origin=origin())
        (folder / "bascule.yaml").write_text(text, encoding="utf-8")
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", bascule, "run", "--config", folder / "bascule.yaml"]
        with open(folder / "log", "ab") as log:
            self.process = processes.start(command, log)
        wait_for(lambda: accepts(self.plain) and accepts(self.secure), f"Bascule under callgrind (log: {folder}/log)", self.process)
        # The checks that come before the first request.
        time.sleep(1)

    def control(self, option):
        done = subprocess.run(["callgrind_control", option, str(self.process.pid)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise CannotBegin(f"callgrind_control says: {(done.stderr or done.stdout).strip()}")

    def instructions_of(self, act):
        """Counts while `act` is done."""
        self.control("-z")
        act()
        known = set(self.folder.glob("out.*"))
        self.control("-d")
        wait_for(lambda: any(_total(it) for it in set(self.folder.glob("out.*")) - known), "callgrind's accounts", self.process)
        self.accounts = next(it for it in set(self.folder.glob("out.*")) - known if _total(it))
        return _total(self.accounts)

    def connect(self, tls):
        host, port = (self.secure if tls else self.plain).split(":")
        connection = socket.create_connection((host, int(port)), timeout=60)
        if not tls:
            return connection
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(connection)


def _total(accounts):
    totals = re.findall(r"^totals: (\d+)", accounts.read_text(errors="replace"), re.MULTILINE)
    return sum(map(int, totals))


def _ask(connections, request, times):
    for _ in range(times // len(connections)):
        for connection in connections:
            connection.sendall(request)
        for connection in connections:
            read_answer(connection)


def _h2load(proxy, times):
    url = f"https://{proxy.secure}/1k"
    done = subprocess.run(["h2load", "-t1", f"-c{CONNECTIONS}", "-m4", f"-n{times}", url], capture_output=True, text=True, check=False)
    if f"{times} succeeded" not in done.stdout:
        raise CannotBegin(f"h2load says: {(done.stderr or done.stdout).strip()}")


def count(case, bascule, profile=None):
    """Returns what a request of this case costs."""
    processes = Processes()
    with tempfile.TemporaryDirectory(prefix="bascule-callgrind-") as folder:
        try:
            proxy = Counted(bascule, Path(folder), processes)
            if case.h2:
                _h2load(proxy, WARM_UP)
                # Connections are made anew each time: what they cost is in both.
                few = proxy.instructions_of(lambda: _h2load(proxy, WARM_UP))
                many = proxy.instructions_of(lambda: _h2load(proxy, WARM_UP + COUNTED))
                cost = (many - few) // COUNTED
            else:
                connections = [proxy.connect(case.tls) for _ in range(CONNECTIONS)]
                _ask(connections, case.request, WARM_UP)
                cost = proxy.instructions_of(lambda: _ask(connections, case.request, COUNTED)) // COUNTED
            if profile:
                profile.mkdir(parents=True, exist_ok=True)
                shutil.copy(proxy.accounts, profile / f"callgrind.{case.name}")
            return cost
        finally:
            processes.end_all()
