#!/usr/bin/env python3
"""Checks a composition that compose-test.sh has started.

usage: verify.py docker compose -p PROJECT -f FILE...
"""

import os
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))

from world import Composition, Score, Traffic, call, until  # noqa: E402

PROXY = "http://127.0.0.1:8021"
SIDECAR = "http://127.0.0.1:9901"
DASHBOARD = "http://127.0.0.1:3000"
PROMETHEUS = "http://127.0.0.1:9090"
# What a browser says that shows the dashboard.
FROM_DASHBOARD = {"Origin": DASHBOARD, "Content-Type": "application/json"}


def pool():
    """The pool as /proxy/health on the data plane's port says; {} when it does not answer."""
    health = call(f"{PROXY}/proxy/health").json() or {}
    return (health.get("pools") or [{}])[0]


def active():
    return pool().get("active_backend")


def healthy(score, world):
    _, took = until(150, lambda: not world.unhealthy(), pause=0.5)
    waiting = world.unhealthy()
    score.check(f"every container is healthy (after {took:.0f} s)", not waiting, waiting)
    return not waiting


def hardened(score, containers):
    for service, container in sorted(containers.items()):
        host, user = container["HostConfig"], container["Config"]["User"]
        wrong = []
        if user.split(":")[0] in ("", "0", "root"):
            wrong.append(f"user {user!r}")
        if not host["ReadonlyRootfs"]:
            wrong.append("its root is writable")
        if host["CapDrop"] != ["ALL"] or host["CapAdd"]:
            wrong.append(f"capabilities {host['CapDrop']} {host['CapAdd']}")
        if not any(option.startswith("no-new-privileges") for option in host["SecurityOpt"] or []):
            wrong.append("new privileges")
        if not host["Memory"] or not host["PidsLimit"]:
            wrong.append("no limits")
        if not host["LogConfig"]["Config"].get("max-size"):
            wrong.append("an endless log")
        for bindings in (host["PortBindings"] or {}).values():
            wrong += [f"published on {b['HostIp']!r}" for b in bindings if b["HostIp"] != "127.0.0.1"]
        score.check(f"{service} is confined", not wrong, wrong)


def answering(score, containers):
    for name, url, text in (
        ("primary", "http://127.0.0.1:3001/health", b"primary"),
        ("secondary", "http://127.0.0.1:3002/health", b"secondary"),
        ("the pool through the proxy", f"{PROXY}/api/data", b"primary"),
        ("the rewritten path", f"{PROXY}/proxy/data", b"primary"),
        ("the sidecar through the proxy", f"{PROXY}/proxy/health", b"active_backend"),
        ("the sidecar", f"{SIDECAR}/readyz", b"ready"),
        ("the page", f"{DASHBOARD}/", b"<script"),
        ("the page's relay", f"{DASHBOARD}/api/proxy/health", b"active_backend"),
        ("Prometheus", f"{PROMETHEUS}/-/ready", b""),
    ):
        answer = call(url)
        score.check(f"{name} answers at {url}", answer.status == 200 and text in answer.body, answer)
    if "grafana" in containers:
        answer, _ = until(60, lambda: call("http://127.0.0.1:3003/api/dashboards/uid/bascule-failover").status == 200)
        score.check("Grafana has the dashboard", answer)


def refused(score):
    before = active()
    fail = "/proxy/fail"
    for name, url, headers, method, wanted in (
        ("no token, at the sidecar", SIDECAR + fail, {}, "POST", {401}),
        ("no token, through the proxy", PROXY + fail, {}, "POST", {401}),
        ("a wrong token", SIDECAR + fail, {"Authorization": "Bearer wrong"}, "POST", {401, 403}),
        ("another origin, at the dashboard", DASHBOARD + "/api" + fail, {"Origin": "http://evil.example"}, "POST", {403}),
        ("another host name, at the dashboard", DASHBOARD + "/api" + fail,
         {"Origin": "http://evil.example", "Host": "evil.example"}, "POST", {400, 403, 421}),
        ("GET", SIDECAR + fail, {}, "GET", {405}),
    ):
        answer = call(url, method=method, headers=headers, body=b"" if method == "POST" else None)
        score.check(f"a failure is refused: {name}", answer.status in wanted, answer)
    time.sleep(1)
    score.check("and nothing has moved", active() == before == "primary", f"{before} -> {active()}")


def failover(score, world):
    restarts = world.containers()["primary"]["RestartCount"]
    known = {i["id"] for i in incidents()}
    with Traffic(f"{PROXY}/api/data") as traffic:
        time.sleep(1.5)
        answer = call(f"{DASHBOARD}/api/proxy/fail", method="POST", headers=FROM_DASHBOARD, body=b"{}")
        score.check("the dashboard fails the active backend", answer.status == 202, answer)
        moved, took = until(5, lambda: active() == "secondary", pause=0.02)
        score.check(f"the secondary serves (after {took:.2f} s)", moved, active())
        served = call(f"{PROXY}/api/data")
        score.check("it answers clients", served.headers.get("x-backend") == "secondary", served)
        came_back, took = until(60, lambda: world.containers()["primary"]["RestartCount"] > restarts, pause=0.3)
        score.check(f"the failed container was started again (after {took:.1f} s)", came_back)
        back, took = until(60, lambda: active() == "primary")
        score.check(f"the primary serves again (after {took:.1f} s)", back, active())
        time.sleep(1)
    score.check(f"none of {traffic.sent} requests was lost", traffic.sent > 100 and not traffic.lost, traffic.lost[:3])
    recorded(score, known)
    healthy(score, world)


def incidents():
    return (call(f"{DASHBOARD}/api/incidents").json() or {}).get("incidents", [])


def recorded(score, known):
    def settled():
        fresh = [i for i in incidents() if i["id"] not in known]
        done = fresh and all(i["state"] in ("recovered", "closed") and i["moments"]["failed_back_at"] for i in fresh)
        return fresh if done else None

    fresh, _ = until(30, settled)
    if not score.check("one incident is recorded, and over", fresh and len(fresh) == 1, incidents()[:2]):
        return
    incident = fresh[0]
    print(f"        {incident['id']}: cause {incident['cause']}, detected in {incident['detection_seconds']} s, "
          f"switched in {incident['switch_seconds']} s, {incident['requests']}", flush=True)
    where = (incident["pool"], incident["backend"], incident["to_backend"])
    score.check("it names the pool and both backends", where == ("api", "primary", "secondary"), where)
    score.check("it says that somebody asked for it", incident["requested"] is True, incident["requested"])
    score.check("it counts the requests, none of them lost",
                incident["requests"]["total"] > 0 and incident["requests"]["lost"] == 0, incident["requests"])
    times = (incident["detection_seconds"], incident["switch_seconds"])
    score.check("it was detected and switched within 3 s", all(t is not None and t < 3 for t in times), times)


def observed(score):
    targets = call(f"{PROMETHEUS}/api/v1/targets").json() or {"data": {"activeTargets": []}}
    states = {t["labels"]["job"]: t["health"] for t in targets["data"]["activeTargets"]}
    score.check("Prometheus scrapes the proxy", states == {"bascule": "up"}, states)
    rules = call(f"{PROMETHEUS}/api/v1/rules").json() or {"data": {"groups": []}}
    rules = [rule for group in rules["data"]["groups"] for rule in group["rules"]]
    score.check(f"all {len(rules)} rules evaluate", rules and all(r["health"] == "ok" for r in rules),
                [(r["name"], r.get("lastError")) for r in rules if r["health"] != "ok"])
    paged = [r["name"] for r in rules if r.get("state") == "firing" and r["labels"].get("severity") == "page"]
    score.check("the failover paged nobody", not paged, paged)
    for name, arguments in (
        ("every metric of rules and dashboards is there", ("metrics", PROMETHEUS)),
        ("every query of the dashboards evaluates", ("evaluate", PROMETHEUS)),
        ("every query of the dashboards has samples", ("samples", PROMETHEUS, "30")),
    ):
        command = [sys.executable, ROOT / "deploy" / "grafana" / "queries.py", *arguments]
        run = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
        score.check(name, run.returncode == 0, run.stdout + run.stderr)


def load_tested(score, world):
    """loadtest/run failover, alone on the pool: its counts must agree with the incident's."""
    runner = ROOT / "loadtest" / "run"
    if not runner.exists() or subprocess.run([runner, "--install"], capture_output=True, timeout=300, check=False).returncode:
        print("skipped loadtest/run failover: no k6 here", flush=True)
        return
    world.run("stop", "visitor")
    token = world.run("exec", "-T", "proxy", "cat", "/run/bascule/token").stdout.strip()
    score.check("the token is there, and not in the log", len(token) >= 16 and token not in world.run("logs").stdout)
    env = {**os.environ, "TARGET": PROXY, "ADMIN": SIDECAR, "BASCULE_TOKEN": token}
    run = subprocess.run([runner, "failover"], env=env, capture_output=True, text=True, timeout=300, check=False)
    text = run.stdout + run.stderr
    score.check("loadtest/run failover", run.returncode == 0, f"exit {run.returncode}\n{text[-6000:]}")
    back, _ = until(60, lambda: active() == "primary")
    score.check("the primary serves again", back, active())


def again(score, world):
    """A second `up` changes nothing that is running, and leaves the token as it is."""
    before = {name: c["Id"] for name, c in world.containers().items()}
    run = world.run("up", "-d", "--no-build", timeout=300)
    after = {name: c["Id"] for name, c in world.containers().items()}
    score.check("a second `up` succeeds and keeps every container", run.returncode == 0 and before == after, run.stderr[-500:])
    answer = call(f"{DASHBOARD}/api/proxy/recover", method="POST", headers=FROM_DASHBOARD, body=b"{}")
    score.check("the dashboard is still allowed to act", answer.status == 200, answer)
    healthy(score, world)


def stopped(score, world):
    began = time.monotonic()
    world.run("stop", timeout=150)
    took = time.monotonic() - began
    killed = {n: c["State"]["ExitCode"] for n, c in world.containers().items() if c["State"]["ExitCode"] == 137}
    score.check(f"everything stops when asked (in {took:.0f} s)", not killed, killed)


def main(command):
    if not command:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    score, world = Score(), Composition(command)
    if healthy(score, world):
        containers = world.containers()
        hardened(score, containers)
        answering(score, containers)
        refused(score)
        failover(score, world)
        observed(score)
        load_tested(score, world)
        again(score, world)
        if not os.environ.get("BASCULE_COMPOSE_KEEP") and not score.failed:
            stopped(score, world)
    print(f"{score.passed} passed, {score.failed} failed", flush=True)
    return 1 if score.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
