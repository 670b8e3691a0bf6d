"""What happens while Prometheus watches: load, faults, deaths, orders, reloads, upgrades, a full disk, an outage."""

import time

from world import DIRECT, Failed, ask, until

WRONG = {"authorization": "Bearer 0123456789abcdef"}


def scrapes(count=3):
    """Waits for as many scrapes as a rate needs to show what has just happened."""
    time.sleep(count)


def serves_from(world, tier):
    until(lambda: world.pool()["active_tier"] == tier, f"pool api serves from tier {tier}")


def metric(world, name):
    """The sum of a metric over all its labels, as the proxy shows it."""
    with DIRECT.open(f"http://127.0.0.1:{world.ports['admin']}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(it.rsplit(" ", 1)[1]) for it in lines if it.startswith((f"{name} ", f"{name}{{")))


def clients(world):
    world.start_load("/api/data", 60)
    world.start_load("/blob", 20, "--method", "POST", "--body-bytes", 2000)
    world.start_load("/limited", 5)
    # More than the pool can do at a time, and than may wait for it.
    world.start_load("/delay/150", 20)
    world.read_log()
    scrapes(4)


def odd_clients(world):
    world.say_to("public", b"GET / HTTP/1.1\r\nno header\r\n\r\n")
    world.say_to("secure", b"this is not TLS\r\n\r\n")
    world.ask_by_tls()
    for _ in range(60):
        status, _ = world.sidecar("POST", "/drain", {}, WRONG)
        if status not in (401, 429):
            raise Failed(f"a wrong token was answered with {status}")
    scrapes()


def faults(world):
    for mode in ("error", "hang"):
        world.order("/proxy/fail", {"pool": "api", "mode": mode, "for": "2s"})
        serves_from(world, 1)
        serves_from(world, 0)


def a_death(world):
    world.end(world.primary)
    serves_from(world, 1)
    world.primary = world.start_backend("primary")
    serves_from(world, 0)


def a_check_that_lies(world):
    # Traffic speaks for a backend only when there was some.
    scrapes(4)
    control = f"http://127.0.0.1:{world.ports['primary']}"
    ask("POST", f"{control}/faults", {"mode": "error", "status": 503, "scope": "health", "for_ms": 600_000})
    until(lambda: metric(world, "bascule_evidence_disagreement") == 1, "checks and traffic disagree")
    scrapes()
    ask("POST", f"{control}/recover")
    until(lambda: metric(world, "bascule_evidence_disagreement") == 0, "checks and traffic agree again")
    serves_from(world, 0)


def orders(world):
    world.order("/backends/api/secondary/drain")
    scrapes()
    world.order("/backends/api/secondary/undrain")
    world.order("/backends/api/secondary/disable")
    scrapes()
    world.order("/backends/api/secondary/enable")
    until(lambda: all(it["eligible"] for it in world.pool()["backends"]), "both backends are eligible")
    world.order("/backends/api/secondary/weight", {"weight": 50})
    world.order("/backends/api/primary/eject", {"for": "2s"})
    serves_from(world, 1)
    scrapes()
    serves_from(world, 0)
    world.order("/pools/api/failover", {"to": "tier 1"})
    scrapes()
    world.order("/pools/api/failback", {"wait": "30s"})
    serves_from(world, 0)


def reloads(world):
    scrapes()
    world.configure(weight=150)
    world.order("/config/reload")
    world.order("/config/reload")
    scrapes()
    good = world.config.read_text(encoding="utf-8")
    world.config.write_text('{"version": 1, "listenres": {}}', encoding="utf-8")
    refuse(world, "/config/reload")
    refuse(world, "/upgrade")
    scrapes(5)
    world.config.write_text(good, encoding="utf-8")
    world.order("/config/reload")


def refuse(world, path):
    status, answer = world.sidecar("POST", path, {})
    if status < 400:
        raise Failed(f"POST {path} took a broken file: {answer}")


def an_upgrade(world):
    before = world.sidecar("GET", "/process")[1]["pid"]
    world.order("/upgrade")
    until(lambda: world.sidecar("GET", "/process")[1]["pid"] != before, "another process")
    scrapes(4)
    serves_from(world, 0)


def a_full_disk(world):
    world.configure(disk="/dev/full")
    world.order("/config/reload")
    world.order("/backends/api/secondary/weight", {"weight": 60})
    until(lambda: metric(world, "bascule_access_log_dropped_total"), "lines of the access log are dropped")
    until(lambda: metric(world, "bascule_audit_lost_total"), "a line of the audit file is missing")
    scrapes()


def no_collector(world):
    world.collector.close()


def lost_spans(world):
    until(lambda: metric(world, "bascule_trace_spans_dropped_total"), "spans are dropped")
    scrapes()


def an_outage(world):
    for name in ("primary", "secondary"):
        world.end(getattr(world, name))
    serves_from(world, None)
    until(lambda: "BasculePoolNoEligibleBackend" in firing(world), "the outage pages")
    for name in ("primary", "secondary"):
        setattr(world, name, world.start_backend(name))
    serves_from(world, 0)
    scrapes(4)


def firing(world):
    _, answer = ask("GET", f"{world.prometheus}/api/v1/alerts")
    return {it["labels"]["alertname"] for it in answer["data"]["alerts"] if it["state"] == "firing"}


CHAPTERS = (clients, odd_clients, no_collector, faults, a_death, a_check_that_lies, orders, reloads, an_upgrade, a_full_disk,
            lost_spans, an_outage)


def tell(world, say):
    for chapter in CHAPTERS:
        began = time.monotonic()
        chapter(world)
        say(f"{chapter.__name__.replace('_', ' ')}: {time.monotonic() - began:.1f} s")
