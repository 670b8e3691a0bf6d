"""What Prometheus shows of a run: every panel, recording rule and alert, asked as Grafana asks.

A query that is not answered, a panel without anything in it, a panel that shows nothing but zeros after a run in which
everything happened, and a metric that nobody asks for are problems. What may be so has its reason here.
"""

import json
import math
import re
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "grafana"))

import queries  # noqa: E402

# Panels that may show zeros only. None may be empty.
MAY_BE_ZERO = {
    "backends.json: Ejections": "whether traffic or checks find a backend first depends on the machine",
    "edge.json: Lag of the data plane": "on an idle machine there is none",
    "operation.json: Cut at the end of a drain": "requests that take milliseconds outlast no drain",
    "operation.json: Evidence that was not judged": "a machine that is fast enough judges all",
}

# Alerts that this run brings about, at least pending: the condition was met, if not for long enough.
RAISED = {
    "BasculeAccessLogDropped", "BasculeAuditLost", "BasculeBackendLeftOut", "BasculeCertificateExpiresSoon",
    "BasculeCertificateExpiring", "BasculeConfigReloadFailed", "BasculeErrorBudgetBurnFast", "BasculeErrorBudgetBurnSlow",
    "BasculeEvidenceDisagrees", "BasculeOnBackupTier", "BasculeOverloaded", "BasculePoolHeld", "BasculePoolNoEligibleBackend",
    "BasculePoolNoSpare", "BasculeTokensTried", "BasculeTracesDropped", "BasculeUpgradeFailed",
}

# Alerts that this run does not bring about, or not always, with the reason. `deploy/prometheus/tests` raises and clears each
# of them on samples that are made up.
NOT_RAISED = {
    "BasculeConnectionsExhausted": "would take 475 open connections for nothing but this",
    "BasculeDescriptorsExhausted": "would take nine in ten of the descriptors that the process may have, which others need",
    "BasculeEvidenceDropped": "nothing brings it about but a machine that is too slow, which cannot be ordered",
    "BasculeFailoverSlow": "every failover here is noticed in less than the three seconds that it is about",
    "BasculeFlapping": "takes five failovers that no injected fault brought about; whether there are as many depends on the machine",
    "BasculeHistoryFailing": "the disk under the history would have to be full from the start, and its panels be empty",
    "BasculeInstanceDown": "the proxy would have to be away for scrapes on end, and everything after it with it",
    "BasculeRestarting": "takes three starts in half an hour; the upgrade here is one",
    "BasculeRetryBudgetExhausted": "would take more retries than the budget has for seconds on end, and the panels would show little else",
}

# Metrics that no panel and no rule asks for.
UNASKED = {
    "process_virtual_memory_bytes": "says nothing that resident memory does not say better",
}

# The data source's interval is a second, and a graph of a quarter of an hour has a point for each.
RATE_INTERVAL = "4s"


class Prometheus:
    def __init__(self, url, began):
        self.url, self.began = url, began
        # Everything is asked as of the same moment.
        self.ended = time.time()
        self.variables = {"$__rate_interval": RATE_INTERVAL, "$__interval": "1s", "$__range": f"{int(self.ended - began)}s"}

    def fill_in(self, text):
        for name, value in sorted(self.variables.items(), key=lambda it: -len(it[0])):
            text = text.replace(name, value)
        return text

    def choose(self, board):
        """Sets each variable of a dashboard to "All", as Grafana does: every value that there is."""
        self.variables = {name: value for name, value in self.variables.items() if name.startswith("$__")}
        for variable in board["templating"]["list"]:
            if "definition" not in variable:
                continue
            metric, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["definition"]).groups()
            found = queries.ask(
                self.url, f"/api/v1/label/{label}/values", **{"match[]": self.fill_in(metric), "start": self.began, "end": self.ended}
            )
            if not found.get("data"):
                yield f"variable {variable['name']}: no values of {variable['definition']}"
                continue
            self.variables[f"${variable['name']}"] = f"({'|'.join(map(re.escape, found['data']))})"

    def samples(self, expr, *, instant):
        """(every finite value, what went wrong)."""
        if instant:
            answer = queries.ask(self.url, "/api/v1/query", query=expr, time=self.ended)
        else:
            answer = queries.ask(self.url, "/api/v1/query_range", query=expr, start=self.began, end=self.ended, step=1)
        if answer["status"] != "success":
            return [], answer.get("error")
        result = answer["data"]["result"]
        pairs = [it["value"] for it in result] if instant else [pair for it in result for pair in it["values"]]
        return [number for _, text in pairs if math.isfinite(number := float(text))], None


def check_exceptions(_=None):
    there = {f"{name}: {panel['title']}" for name, board in queries.boards() for panel in queries.panels(board)}
    for where in sorted(set(MAY_BE_ZERO) - there):
        yield f"{where}: an exception for a panel that there is not"
    alerts = {name for name, _ in queries.alerts()}
    for alert in sorted(alerts - RAISED - set(NOT_RAISED)):
        yield f"alert {alert}: neither brought about, nor in NOT_RAISED with the reason"
    for alert in sorted((RAISED | set(NOT_RAISED)) - alerts):
        yield f"alert {alert}: there is none"
    for alert in sorted(RAISED & set(NOT_RAISED)):
        yield f"alert {alert}: is brought about, and is said not to be"


def check_panels(prometheus):
    for name, board in queries.boards():
        for problem in prometheus.choose(board):
            yield f"{name}: {problem}"
        for panel in queries.panels(board):
            if panel["type"] == "row":
                continue
            where, seen = f"{name}: {panel['title']}", []
            for target in panel["targets"]:
                expr = prometheus.fill_in(target["expr"])
                found, error = prometheus.samples(expr, instant=target["instant"])
                if error:
                    yield f"{where}: {error}: {expr}"
                elif not found:
                    yield f"{where}: empty: {expr}"
                seen += found
            if seen and not any(seen) and where not in MAY_BE_ZERO:
                yield f"{where}: nothing but zeros"
        for note in board["annotations"]["list"]:
            expr = prometheus.fill_in(note["expr"])
            found, error = prometheus.samples(expr, instant=False)
            if error or not found:
                yield f"{name}: annotation {note['name']}: {error or 'empty'}: {expr}"


def check_rules(prometheus):
    groups = queries.ask(prometheus.url, "/api/v1/rules")["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    for rule in rules:
        if rule["health"] != "ok":
            yield f"rule {rule['name']}: {rule['health']}: {rule.get('lastError')}"
        if rule["type"] == "recording":
            found, error = prometheus.samples(rule["name"], instant=False)
            if error or not found:
                yield f"rule {rule['name']}: {error or 'recorded nothing'}"
    alerts = {rule["name"] for rule in rules if rule["type"] == "alerting"}
    if alerts != {name for name, _ in queries.alerts()}:
        yield f"Prometheus has other alerts than the files: {sorted(alerts)}"
    for alert in sorted(RAISED):
        found, error = prometheus.samples(f'ALERTS{{alertname="{alert}"}}', instant=False)
        if error or not found:
            yield f"alert {alert}: {error or 'its condition was never met'}"


def check_metrics(prometheus):
    known = queries.ask(prometheus.url, "/api/v1/label/__name__/values")["data"]
    there = {it for it in known if it.startswith(("bascule_", "process_"))}
    asked = {name for _, name in queries.names() if ":" not in name}
    family = lambda name: re.sub(r"_(bucket|sum|count)$", "", name)  # noqa: E731
    for name in sorted({family(it) for it in there} - {family(it) for it in asked} - set(UNASKED)):
        yield f"metric {name}: no panel and no rule asks for it"
    for name in sorted(asked - there):
        yield f"metric {name}: is asked for, and there is none"


def check(url, began):
    """Every problem, a line each."""
    prometheus = Prometheus(url, began)
    for part in (check_exceptions, check_panels, check_rules, check_metrics):
        yield from part(prometheus)


def counts():
    """What is asked, for people."""
    boards = [board for _, board in queries.boards()]
    panels = [panel for board in boards for panel in queries.panels(board) if panel["type"] != "row"]
    asked = sum(len(panel["targets"]) for panel in panels) + sum(len(board["annotations"]["list"]) for board in boards)
    return (
        f"{asked} queries of {len(panels)} panels, {len(queries.recorded())} recording rules, {len(RAISED)} alerts raised"
        f" ({len(NOT_RAISED)} are not, with a reason)"
    )


def save(prometheus_url, began, path):
    """Every panel's values at the end, for people who want to look."""
    prometheus = Prometheus(prometheus_url, began)
    told = {}
    for name, board in queries.boards():
        list(prometheus.choose(board))
        for panel in queries.panels(board):
            for target in panel.get("targets", []):
                expr = prometheus.fill_in(target["expr"])
                found, error = prometheus.samples(expr, instant=target["instant"])
                told[f"{name}: {panel['title']} {target['refId']}"] = {
                    "query": expr, "error": error, "samples": len(found), "lowest": min(found, default=None), "highest": max(found, default=None),
                }
    path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    # What can be said without a run.
    problems = list(check_exceptions())
    print("\n".join(problems), end="\n" if problems else "")
    sys.exit(1 if problems else 0)
