"""Sends the load: wrk, h2load, messages over WebSockets, or connections that are only held."""

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

from lib.drills.world import CannotBegin

LOADTEST = Path(__file__).resolve().parent.parent.parent
_POST = 'wrk.method = "POST"\nwrk.body = string.rep("x", {size})\n'


def _run(command, cores):
    command = ["taskset", "-c", cores, *map(str, command)]
    done = subprocess.run(command, cwd=LOADTEST, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotBegin(f"`{' '.join(command)}` says: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def _number(pattern, text, default=None):
    found = re.search(pattern, text)
    if not found:
        return default
    return float(found.group(1))


def wrk(case, place, seconds, cores):
    """Requests that were answered, and those that were not answered well."""
    url = f"{'https' if case.tls else 'http'}://{place.secure if case.tls else place.plain}{path_of(case)}"
    command = ["wrk", "-t1", f"-c{case.connections}", f"-d{seconds}s", url]
    if case.closes:
        command += ["-H", "Connection: close"]
    if case.body:
        script = place.folder / "post.lua"
        script.write_text(_POST.format(size=case.body), encoding="utf-8")
        command += ["-s", str(script)]
    text = _run(command, cores)
    answered = _number(r"(\d+) requests in", text)
    refused = _number(r"Non-2xx or 3xx responses: (\d+)", text, 0)
    broken = sum(map(int, re.findall(r"(?:connect|read|write|timeout) (\d+)", text)))
    # A closing peer that has answered is a read error to wrk.
    return answered, refused + (0 if case.closes else broken)


def h2load(case, place, seconds, cores):
    """The same over HTTP/2."""
    url = f"https://{place.secure}{path_of(case)}"
    command = ["h2load", "-t1", f"-c{case.connections}", "-m8", f"-D{seconds}", "--warm-up-time=0", url]
    if case.grpc:
        message = place.folder / "message"
        message.write_bytes(grpc_message(100))
        command += ["-d", message, "-H", "content-type: application/grpc", "-H", "te: trailers"]
    text = _run(command, cores)
    answered = _number(r"(\d+) succeeded", text)
    return answered, _number(r"(\d+) failed", text, 0)


def grpc_message(length):
    """A message of gRPC, not compressed."""
    return b"\0" + length.to_bytes(4, "big") + b"x" * length


def websocket(case, place, seconds, cores):
    """Messages that came back as they were, and conversations that ended."""
    program = [sys.executable, "-B", "-m", "lib.bench.websocket", place.plain, path_of(case), str(case.connections), str(seconds)]
    answered, failed = _run(program, cores).split()
    return float(answered), float(failed)


def latency(address, case, rate, seconds, cores, program):
    """Microseconds within which 99 of 100 answers came, of requests at a constant rate."""
    command = [program, "load", f"http://{address}{case.path}", "--rate", rate, "--duration", f"{seconds}s", "--in-flight", 2000]
    report = json.loads(_run(command, cores))
    if report["failed"] or not report["ok"]:
        raise CannotBegin(f"{report['failed']} of {report['sent']} requests to {address} failed: {report['failed_by_kind']}")
    return report["p99_ms"] * 1000


def path_of(case):
    """What is asked for: the last of several routes."""
    return f"/r{case.routes - 2}{case.path}" if case.routes > 1 else case.path


def hold(case, place):
    """Connections that have made one request each and make no more."""
    host, port = place.plain.split(":")
    held = []
    request = f"GET {case.path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
    for _ in range(case.connections):
        connection = socket.create_connection((host, int(port)), timeout=5)
        connection.sendall(request)
        read_answer(connection)
        held.append(connection)
    return held


def read_answer(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            raise CannotBegin("a connection that was to be held was closed")
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(re.search(rb"(?i)content-length: *(\d+)", head).group(1))
    while len(body) < length:
        piece = connection.recv(65536)
        if not piece:
            raise CannotBegin("an answer was cut off")
        body += piece


SENDERS = {"wrk": wrk, "h2load": h2load, "websocket": websocket}
