"""The rows of the drill table: what breaks, when it is repaired, and how many requests may fail."""

import time
from typing import Callable, NamedTuple

from lib.drills.world import accepts, wait_for


class Schedule(NamedTuple):
    """Seconds from the load's start to the fault, to its repair, and to the load's end."""

    fault: float
    repair: float
    end: float


FULL = Schedule(5, 12, 20)
# Still long enough after the repair for traffic to return to the preferred tier.
SHORT = Schedule(2, 4.5, 9.5)


class Row(NamedTuple):
    """One fault under one kind of request."""

    name: str
    title: str
    method: str
    # Breaks and repairs; it is given the run and returns when all is repaired.
    fault: Callable
    # How many requests may fail in Bascule each time the fault strikes; none sent after the repair.
    bound: int
    # The backend works for 3 ms on each request, so that one or two are in flight at any moment.
    path: str = "/blob?size=4096&delay_ms=3"
    keyed: bool = False
    rate: int = 300
    preferred: int = 1
    # How many backends each preferred process serves; without it, one.
    each: tuple = ()
    # The preferred backend is reached over a network whose packets can be dropped.
    networked: bool = False
    # What is in flight inside a killed process may fail where it must not be repeated: the bound, or
    # as many as there were.
    in_flight_may: bool = False
    # What the row is about is how two faults meet: the other proxies are not compared in it.
    is_double: bool = False
    # Too much for a machine that runs other rows at the same time.
    alone: bool = False

    @property
    def key(self):
        """How it is named on the command line."""
        return f"{self.name}-{'keyed-' if self.keyed else ''}{self.method.lower()}"

    @property
    def kind(self):
        return f"{self.method} with Idempotency-Key" if self.keyed else self.method


# ---- single faults: begun and ended at the schedule's moments ----------------------------------


def between(begin, end):
    """A fault of the preferred backends from `begin` to `end`, both told of one backend."""

    def fault(run):
        run.begin()
        for backend in run.preferred:
            begin(backend)
        run.wait_for_repair()
        for backend in run.preferred:
            end(backend)

    return fault


def injected(mode, **fields):
    return between(lambda backend: backend.fail(mode, **fields), lambda backend: backend.recover())


def nothing(run):
    run.begin()
    run.wait_for_repair()


hung = between(lambda backend: backend.pause(), lambda backend: backend.resume())
unreachable = between(lambda backend: backend.network.drop(), lambda backend: backend.network.deliver())
failing = injected("error", status=500)
grey = injected("error", status=500, percent=30, scope="traffic")
slow = injected("slow", delay_ms=3000)
cut = injected("truncate", every=10, scope="traffic")
closing = injected("close_idle", period_ms=200)
check_lies_ill = injected("error", status=503, scope="health")
check_lies_well = injected("error", status=500, scope="traffic")


def killed(run):
    run.begin()
    for backend in run.preferred:
        backend.kill()
    run.has_struck(run.preferred)
    run.wait_for_repair()
    for backend in run.preferred:
        backend.restart()


# ---- two at once -------------------------------------------------------------------------------


def part_killed(run):
    """The last preferred process dies, the others live."""
    run.begin()
    run.preferred[-1].kill()
    run.has_struck(run.preferred[-1:])
    run.wait_for_repair()
    run.preferred[-1].restart()


def killed_during_failback(run):
    """Killed, restarted, and killed again with the first request that has returned to it."""
    backend = run.preferred[0]
    run.begin()
    backend.kill()
    run.wait_for_repair(1 / 3)
    before = backend.executed()
    backend.restart()
    wait_for(lambda: backend.executed() != before, "the first failback", pause=0.002)
    run.again()
    backend.kill()
    time.sleep(0.5)
    run.repaired()
    backend.restart()


def flapping(run):
    """Killed every second, and back half a second later."""
    backend = run.preferred[0]
    run.begin()
    while True:
        backend.kill()
        time.sleep(0.5)
        if run.is_repair_due():
            run.repaired()
            return backend.restart()
        backend.restart()
        time.sleep(0.5)
        run.again()


def proxy_restarted(run):
    """The preferred backend is dead when the proxy dies; its successor begins in mid-fault."""
    run.begin()
    run.preferred[0].kill()
    time.sleep(1)
    run.kill_proxy()
    run.start_proxy()
    wait_for(lambda: accepts(run.lane.proxy), "the new proxy", pause=0.002)
    run.count_from_here()
    run.wait_for_repair()
    run.preferred[0].restart()


def pair(name, title, fault, post, **more):
    """The same fault under GET, of which none may fail, and under POST, of which `post` may."""
    get = Row(name, title, "GET", fault, 0, **more)._replace(in_flight_may=False)
    return [get, Row(name, title, "POST", fault, post, **more)]


CHUNKED = "/blob?size=4096&delay_ms=3&chunked=true"
DYING = {"in_flight_may": True, "is_double": True}

ROWS = [
    *pair("none", "no fault", nothing, 0),
    *pair("kill", "`kill -9`", killed, 2, in_flight_may=True),
    Row("kill", "`kill -9`", "POST", killed, 0, keyed=True),
    *pair("hang", "hang (`SIGSTOP`)", hung, 30),
    *pair("blackhole", "blackhole (packets dropped)", unreachable, 2, networked=True),
    *pair("errors", "500 to everything, `/health` too", failing, 2),
    *pair("grey", "grey: 30 % of the traffic 500", grey, 5),
    *pair("slow", "slow: every answer takes 3 s", slow, 40),
    *pair("cut", "every 10th response cut in half", cut, 5),
    *pair("cut-chunked", "the same, chunked", cut, 5, path=CHUNKED),
    *pair("idle", "idle connections closed every 200 ms", closing, 0),
    # In flight inside what is killed: as many as in one backend at the same rate.
    *pair("tier", "three backends killed at once, the whole tier", killed, 2, preferred=3, **DYING),
    *pair("failback", "killed again during failback", killed_during_failback, 2, **DYING),
    *pair("flapping", "killed every second", flapping, 2, **DYING),
    *pair("lies-ill", "`/health` fails, traffic works", check_lies_ill, 0, is_double=True),
    *pair("lies-well", "`/health` works, traffic fails", check_lies_well, 5, is_double=True),
    *pair("restart", "the proxy restarted in mid-fault", proxy_restarted, 0, is_double=True),
    *pair("thousand", "`kill -9` at 1,000 requests/s", killed, 7, rate=1000, alone=True, **DYING),
    *pair("many", "20 of 200 backends killed at once", part_killed, 2, preferred=2, each=(180, 20), alone=True, **DYING),
]
