"""The server behind the proxies that are measured: nginx, or one that echoes WebSockets."""

import os
import shutil

from lib.bench import load
from lib.bench.cases import KIB
from lib.bench.proxies import LOADTEST
from lib.drills.world import accepts, wait_for

PORT = 20000


def start(folder, case, processes, cores, echo=None):
    """Starts one server that listens on as many ports as the case has backends; returns its addresses and the process.
    `echo` is the program that sends messages of WebSockets back."""
    files = folder / "files"
    files.mkdir(parents=True)
    addresses = [f"127.0.0.1:{PORT + index}" for index in range(case.backends)]
    if case.tool == "websocket":
        command = [echo, "--until-stdin-closes", "serve", "--listen", addresses[0]]
    else:
        for name, size in (("1k", KIB), ("100k", 100 * KIB)):
            (files / name).write_bytes(b"x" * size)
        (files / "bench.Echo").mkdir()
        (files / "bench.Echo/Say").write_bytes(load.grpc_message(100))
        # Not nginx's folder to read otherwise.
        os.chmod(folder.parent, 0o755)
        (folder / "origin.conf").write_text(_config(folder, case, addresses), encoding="utf-8")
        program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        command = [program, "-p", folder, "-c", folder / "origin.conf"]
    with open(folder / "log", "ab") as log:
        process = processes.start(["taskset", "-c", cores, *command], log)
    wait_for(lambda: accepts(addresses[-1]), f"the server behind the proxies (log: {folder}/log)", process)
    return addresses, process


def _config(folder, case, addresses):
    protocol = " http2" if case.grpc else ""
    text = (LOADTEST / "bench/origin.conf").read_text(encoding="utf-8")
    text = text.replace("@LISTEN@", "\n".join(f"        listen {address}{protocol} backlog=4096;" for address in addresses))
    return text.replace("@FOLDER@", str(folder))


def checks(folder):
    """When health checks came, in seconds since 1970."""
    return [float(line) for line in (folder / "checks").read_text().split()]
