"""The runner's view of the sidecar: counters before and after, the clock, the incidents of the run."""

import json
import time
import urllib.error
import urllib.request

from lib.points import unix_seconds

# Loopback and compose addresses are never behind an outgoing proxy, whatever the environment says.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Sidecar:
    """Reads the sidecar at `admin`; every method answers None when it does not answer."""

    def __init__(self, admin, token):
        self.admin = admin
        self.token = token

    def _get(self, path):
        request = urllib.request.Request(self.admin + path)
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with _DIRECT.open(request, timeout=5) as answer:
                return answer.read().decode("utf-8", "replace")
        except (urllib.error.URLError, OSError, ValueError):
            return None

    def _json(self, path):
        text = self._get(path)
        try:
            return None if text is None else json.loads(text)
        except ValueError:
            return None

    def pool(self, name):
        """The name of the pool under test: `name`, else the first with backends."""
        pools = (self._json("/proxy/health") or {}).get("pools", [])
        return name or next((p["name"] for p in pools if p["backends"]), None)

    def requests(self, pool):
        """How many requests of the pool the data plane has finished."""
        text = self._get("/metrics")
        if text is None:
            return None
        lines = [line for line in text.splitlines() if line.startswith("bascule_requests_total{")]
        return int(sum(float(line.rsplit(" ", 1)[1]) for line in lines if f'pool="{pool}"' in line))

    def clock(self):
        """Seconds by which the sidecar's clock is ahead of ours, and the uncertainty of that."""
        best = None
        for _ in range(5):
            sent = time.time()
            health = self._json("/proxy/health")
            received = time.time()
            if health is None:
                return None
            # `now` is cut to a millisecond: half of that is added on average.
            ahead = unix_seconds(health["now"]) + 0.0005 - (sent + received) / 2
            unsure = (received - sent) / 2 + 0.0005
            best = min(best or (ahead, unsure), (ahead, unsure), key=lambda pair: pair[1])
        return best

    def incidents(self, pool):
        """The pool's incidents, newest first."""
        answer = self._json(f"/incidents?pool={pool}")
        return None if answer is None else answer["incidents"]

    def settled(self, pool, known, done, patience):
        """Waits until each incident not in `known` satisfies `done` and its counts rest; returns them."""
        began = time.monotonic()
        previous = None
        while True:
            fresh = [i for i in self.incidents(pool) or [] if i["id"] not in known]
            counts = [(i["id"], i["requests"], i["window"]) for i in fresh]
            if fresh and all(done(i) for i in fresh) and counts == previous:
                return fresh
            # An incident opens with the failure: one that is not there soon after the run never comes.
            if time.monotonic() - began >= (patience if fresh else min(patience, 3)):
                return fresh
            previous = counts
            time.sleep(0.3)
