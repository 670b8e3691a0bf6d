"""What verify.py needs to look at a running composition: HTTP, containers, steady traffic, a score."""

import http.client
import json
import subprocess
import threading
import time
import urllib.error
import urllib.request

# Loopback addresses are never behind an outgoing proxy, whatever the environment says.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Score:
    """Counts checks. One that fails does not end the run."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def check(self, name, good, detail=""):
        if good:
            self.passed += 1
            print(f"ok      {name}", flush=True)
        else:
            self.failed += 1
            print(f"FAILED  {name}{': ' if detail != '' else ''}{detail}", flush=True)
        return bool(good)


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def __str__(self):
        return f"{self.status} {self.body[:300]!r}"


def call(url, method="GET", headers=None, body=None, timeout=5):
    """Asks; status 0 when nothing answers."""
    request = urllib.request.Request(url, method=method, headers=headers or {}, data=body)
    try:
        with _DIRECT.open(request, timeout=timeout) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.headers, error.read())
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, {}, repr(error).encode())


def until(seconds, question, pause=0.1):
    """Asks until the answer is true; returns (the last answer, seconds it took)."""
    began = time.monotonic()
    while True:
        answer = question()
        took = time.monotonic() - began
        if answer or took > seconds:
            return answer, took
        time.sleep(pause)


class Composition:
    """The containers of a project, asked through the docker command."""

    def __init__(self, command):
        self.command = command

    def run(self, *arguments, timeout=120):
        return subprocess.run(
            [*self.command, *arguments], capture_output=True, text=True, timeout=timeout, check=False
        )

    def containers(self):
        """Service -> what `docker inspect` says."""
        ids = self.run("ps", "-aq").stdout.split()
        if not ids:
            return {}
        said = subprocess.run(["docker", "inspect", *ids], capture_output=True, text=True, timeout=60, check=False)
        return {c["Config"]["Labels"]["com.docker.compose.service"]: c for c in json.loads(said.stdout)}

    def unhealthy(self):
        """Services that are neither healthy nor, for one-shot ones, done; with their state."""
        waiting = {}
        for service, container in self.containers().items():
            state = container["State"]
            health = state.get("Health", {}).get("Status")
            done = state["Status"] == "exited" and state["ExitCode"] == 0
            if not (done or health == "healthy" or (health is None and state["Running"])):
                waiting[service] = f"{state['Status']} {health or ''} exit {state['ExitCode']}"
        return waiting


class Traffic:
    """Constant GETs from a few threads, each on a new connection; remembers what failed."""

    def __init__(self, url, threads=4, pause=0.04):
        self.url = url
        self.pause = pause
        self.sent = 0
        self.lost = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def _run(self):
        while not self._stop.wait(self.pause):
            answer = call(self.url)
            with self._lock:
                self.sent += 1
                if answer.status != 200:
                    self.lost.append(str(answer))

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(10)
