"""What a drill takes place in: processes, ports, a folder, and a network where packets can be lost."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

# Far above what anything here takes to start, on a machine that others use as well.
PATIENCE_SECONDS = 20

# Where a lane's parts listen, from its first port on.
PROXY, ADMIN, PREFERRED, BACKUP = 0, 1, 10, 290
PORTS_PER_LANE = 300


class CannotBegin(Exception):
    """Something that a row needs did not come about; says what."""


class Processes:
    """Every process that was started and not yet waited for, so that none outlives us."""

    def __init__(self):
        self._lock = threading.Lock()
        self._alive = set()
        self._closed = False

    def start(self, command, log, **options):
        with self._lock:
            if self._closed:
                raise CannotBegin("interrupted")
            # A session of its own, so that processes which it starts can be ended with it.
            process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.PIPE, stdout=options.pop("stdout", log), stderr=log, start_new_session=True, **options,
            )
            self._alive.add(process)
            return process

    def end(self, process):
        """Kills it and what it started; stopped ones too."""
        with self._lock:
            if process not in self._alive:
                return
            self._alive.discard(process)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()

    def end_all(self):
        with self._lock:
            self._closed = True
            alive = list(self._alive)
        for process in alive:
            self.end(process)


class Lane:
    """Room for one row at a time: ports of its own, a folder of its own."""

    def __init__(self, number, first_port, programs, processes):
        self.number = number
        self.first_port = first_port + number * PORTS_PER_LANE
        self.programs = programs
        self.processes = processes
        self.folder = Path(tempfile.mkdtemp(prefix="bascule-drill-"))
        self.proxy = f"127.0.0.1:{self.first_port + PROXY}"
        self.admin = f"127.0.0.1:{self.first_port + ADMIN}"
        self.log = open(self.folder / "log", "ab")

    def close(self):
        self.log.close()
        # Once more, should something have been written in the meantime.
        for _ in range(2):
            shutil.rmtree(self.folder, ignore_errors=True)

    def last_words(self, lines=15):
        text = (self.folder / "log").read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])


class Backend:
    """One or more backends in one process. It can be killed, stopped and made to fail."""

    def __init__(self, lane, name, port, count=None, network=None):
        self.lane = lane
        self.name = name
        self.network = network
        self.host = network.inner if network else "127.0.0.1"
        self.port = port
        self.count = count
        self.ledger = lane.folder / f"{name}.ledger"
        self.ledger.unlink(missing_ok=True)
        self.process = None

    def addresses(self):
        """(name, host:port) of each."""
        if self.count is None:
            return [(self.name, f"{self.host}:{self.port}")]
        return [(f"{self.name}-{index + 1}", f"{self.host}:{self.port + index}") for index in range(self.count)]

    def start(self):
        command = [*(self.network.enter() if self.network else []), self.lane.programs["backend"], "--until-stdin-closes"]
        command += ["serve", "--name", self.name, "--listen", f"{self.host}:{self.port}", "--ledger", self.ledger]
        if self.count is not None:
            command += ["--count", self.count]
        environment = {**os.environ, "RUST_LOG": "warn"}
        self.process = self.lane.processes.start(command, self.lane.log, env=environment)
        last = self.port + (self.count or 1) - 1
        wait_for(lambda: answers(self.host, last, "/health"), f"{self.name} on port {last}", self.process)

    def kill(self):
        self.process.kill()

    def until_dead(self):
        """Its sockets are closed by then; the kernel takes its time over many."""
        self.process.wait()

    def restart(self):
        self.lane.processes.end(self.process)
        self.start()

    def pause(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def fail(self, mode, **fields):
        """Injects a fault that lasts until `recover`, or ten minutes."""
        ask(self.host, self.port, "POST", "/faults", json.dumps({"mode": mode, "for_ms": 600_000, **fields}))

    def recover(self):
        ask(self.host, self.port, "POST", "/recover")

    def executed(self):
        """How much is in the ledger, in bytes."""
        return self.ledger.stat().st_size if self.ledger.exists() else 0

    def end(self):
        if self.process:
            self.lane.processes.end(self.process)


class Network:
    """A network namespace joined to ours by a veth pair, in which packets can be dropped both ways."""

    def __init__(self, lane):
        number = lane.first_port // PORTS_PER_LANE % 250
        self.name = f"bascule-drill-{number}"
        # Addresses for tests of networks (RFC 2544), so that nothing else is hidden by ours.
        self.outer, self.inner = f"198.18.{number}.1", f"198.18.{number}.2"
        self._ends = f"bscl{number}a", f"bscl{number}b"

    @staticmethod
    def missing():
        """Why there can be none here, or None."""
        if os.geteuid() != 0:
            return "packets can be dropped by root alone"
        for program, package in (("ip", "iproute2"), ("iptables", "iptables")):
            if not shutil.which(program):
                return f"`{program}` is missing; run: apt-get install {package}"
        # Whether the kernel lets us; containers often do not.
        trial = f"bascule-trial-{os.getpid()}"
        try:
            run("ip", "netns", "add", trial)
            run("ip", "netns", "exec", trial, "iptables", "-A", "INPUT", "-j", "DROP")
        except CannotBegin as error:
            return str(error)
        finally:
            subprocess.run(["ip", "netns", "del", trial], stderr=subprocess.DEVNULL, check=False)
        return None

    def open(self):
        self.close()
        outer, inner = self._ends
        run("ip", "netns", "add", self.name)
        run("ip", "link", "add", outer, "type", "veth", "peer", "name", inner, "netns", self.name)
        run("ip", "addr", "add", f"{self.outer}/30", "dev", outer)
        run("ip", "link", "set", outer, "up")
        run(*self.enter(), "ip", "addr", "add", f"{self.inner}/30", "dev", inner)
        run(*self.enter(), "ip", "link", "set", inner, "up")
        run(*self.enter(), "ip", "link", "set", "lo", "up")

    def enter(self):
        return ["ip", "netns", "exec", self.name]

    def drop(self):
        """Everything, without a word to either side. What ARP knows stays known."""
        for chain in ("INPUT", "OUTPUT"):
            run(*self.enter(), "iptables", "-A", chain, "-j", "DROP")

    def deliver(self):
        run(*self.enter(), "iptables", "-F")

    def close(self):
        subprocess.run(["ip", "netns", "del", self.name], stderr=subprocess.DEVNULL, check=False)
        subprocess.run(["ip", "link", "del", self._ends[0]], stderr=subprocess.DEVNULL, check=False)


def run(*command):
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    if done.returncode:
        raise CannotBegin(f"`{' '.join(command)}` says: {(done.stderr or done.stdout).strip()}")


def ask(host, port, method, path, body=None, timeout=5):
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        if answer.status >= 300:
            raise CannotBegin(f"{method} {path} at {host}:{port} was answered {answer.status}: {text.strip()}")
        return text
    finally:
        connection.close()


def answers(host, port, path):
    try:
        ask(host, port, "GET", path, timeout=2)
        return True
    except (OSError, http.client.HTTPException, CannotBegin):
        return False


def accepts(address):
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
        return True
    except OSError:
        return False


def wait_for(happens, what, process=None, pause=0.02):
    end = time.monotonic() + PATIENCE_SECONDS
    while not happens():
        if process and process.poll() is not None:
            raise CannotBegin(f"{what} ended with exit code {process.returncode}")
        if time.monotonic() > end:
            raise CannotBegin(f"{what} did not come about within {PATIENCE_SECONDS} s")
        time.sleep(pause)
