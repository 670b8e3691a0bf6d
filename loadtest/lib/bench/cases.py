"""What is measured. Data only: how a case is carried out is `run`'s, what comes of it `report`'s."""

from dataclasses import dataclass, field
from typing import Optional

KIB = 1024


@dataclass(frozen=True)
class Case:
    """One kind of load. `tool` sends it: `wrk` for HTTP/1.1, `h2load` for HTTP/2, `websocket` for messages that come
    back as they were, `latency` for requests at a constant rate, `idle` holds connections."""

    name: str
    says: str
    tool: str = "wrk"
    path: str = "/1k"
    body: int = 0
    closes: bool = False
    tls: bool = False
    # Calls of gRPC: HTTP/2 on both sides, and a status in trailers.
    grpc: bool = False
    connections: int = 64
    # What the configuration has beside what every case has.
    backends: int = 1
    routes: int = 1
    threads: int = 1
    # The share of requests that get a line in the access log; None without one.
    logged: Optional[float] = None
    # Proxies that cannot do it, or are not set up for it here.
    without: frozenset = field(default_factory=frozenset)
    # What it is held to: the most that the proxy may take, as a share of what another takes.
    goals: Optional[dict] = None


CASES = (
    Case("get", "GET, 1 KiB answer", goals={"haproxy": 1.3, "bare": 0.75}),
    Case("post", "POST 4 KiB", path="/post", body=4 * KIB, goals={"haproxy": 1.5, "bare": 0.65}),
    Case("large", "GET, 100 KiB answer", path="/100k", goals={"haproxy": 1.3, "bare": 0.85}),
    Case("close", "new connection per request", closes=True, goals={"haproxy": 1.4, "bare": 1.1}),
    Case("tls", "GET 1 KiB over TLS, kept connections", tls=True, goals={"bare": 1.05}),
    Case("h2", "GET 1 KiB over HTTP/2 and TLS", tool="h2load", tls=True, connections=16, goals={"bare": 1.05}),
    Case("grpc", "gRPC unary over TLS, 100 bytes each way", tool="h2load", path="/bench.Echo/Say", tls=True, grpc=True, connections=16,
         without=frozenset({"envoy", "caddy"}), goals={"bare": 1.05}),
    Case("websocket", "WebSocket message of 64 bytes, there and back", tool="websocket", path="/ws", without=frozenset({"envoy"})),
    Case("log", "GET 1 KiB, a line of access log for each", logged=1, without=frozenset({"bare", "caddy"})),
    Case("log-sampled", "GET 1 KiB, a line of access log for every tenth", logged=0.1, without=frozenset({"bare", "caddy", "envoy"})),
    Case("backends-200", "GET 1 KiB, 200 backends", backends=200),
    Case("backends-2000", "GET 1 KiB, 2,000 backends", backends=2000, without=frozenset({"caddy"})),
    Case("routes", "GET 1 KiB, the last of 1,000 routes", routes=1000, without=frozenset({"bare", "caddy"})),
    Case("threads-2", "GET 1 KiB, two threads on two cores", threads=2),
    Case("latency", "GET 1 KiB, 3,000 a second: what 99 of 100 wait at most, beyond that without a proxy", tool="latency",
         goals={"haproxy": 1.5}),
    Case("idle", "memory of an idle client's connection", tool="idle", connections=5000, goals={}),
    Case("idle-10000", "the same, of 10,000", tool="idle", connections=10_000),
)


def named(names):
    """The cases of these names, in the order of the table; all of them for none. KeyError names a stranger."""
    known = {case.name: case for case in CASES}
    for name in names:
        if name not in known:
            raise KeyError(name)
    return [case for case in CASES if not names or case.name in names]
