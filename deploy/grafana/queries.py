"""What the dashboards and rules ask for, held against what there is. Used by deploy/check.sh.

usage: queries.py runbooks | tested | commands | panels | parse
       queries.py metrics {FILE|URL}          a /metrics page, or a Prometheus
       queries.py evaluate URL                every query, by this Prometheus
       queries.py samples URL SECONDS         each query gives a sample within this time

Prints one line for each problem; exit 1 when there is any.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

DEPLOY = Path(__file__).resolve().parent.parent
RULES = sorted((DEPLOY / "prometheus" / "rules").glob("*.yml"))
TESTS = sorted((DEPLOY / "prometheus" / "tests").glob("*.yml"))
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))

# What Grafana puts in when it asks.
FILLED_IN = {"$__rate_interval": "10s", "$__range": "15m", "$__interval": "5s", "$pool": ".*", "$backend": ".*",
             "$listener": ".*"}

# What is only there where it is configured: TLS, a rate limit, a mirror.
WHERE_CONFIGURED = {
    "bascule_certificate_expiry_timestamp_seconds",
    "bascule_mirrored_requests_total",
    "bascule_rate_limit_forgotten_total",
    "bascule_rate_limited_total",
}

# What has a sample only after something has happened.
AFTER_AN_EVENT = {"bascule_config_last_reload_timestamp_seconds"}

# Loopback addresses are never behind an outgoing proxy, whatever the environment says.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def panels(dashboard):
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def boards():
    for path in DASHBOARDS:
        yield path.name, json.loads(path.read_text(encoding="utf-8"))


def filled_in(expr):
    for name, value in FILLED_IN.items():
        expr = expr.replace(name, value)
    return expr


def queries():
    """(where, PromQL as Prometheus gets it) of every panel and annotation."""
    for name, board in boards():
        for panel in panels(board):
            for target in panel.get("targets", []):
                yield f"{name}: {panel['title']} {target['refId']}", filled_in(target["expr"])
        for note in board["annotations"]["list"]:
            yield f"{name}: annotation {note['name']}", filled_in(note["expr"])


def rule_text(path):
    return re.sub(r"(?m)^\s*#.*$", "", path.read_text(encoding="utf-8"))


def names():
    """(where, name) of every metric that is asked for."""
    asked = list(queries())
    for _, board in boards():
        asked += [(f"variable {v['name']}", v["definition"]) for v in board["templating"]["list"] if "definition" in v]
    asked += [(path.name, rule_text(path)) for path in RULES]
    for where, text in asked:
        text = re.sub(r'"[^"]*"', '""', text)
        for name in sorted(set(re.findall(r"(?<![\w:])[a-z_][\w:]*", text))):
            if ":" in name and "bascule" in name or re.match(r"(bascule|process)_", name):
                yield where, name


def recorded():
    return {name for path in RULES for name in re.findall(r"(?m)^\s*- record: (\S+)", rule_text(path))}


def alerts():
    """(name, what its rule says) of every alert."""
    for path in RULES:
        for part in re.split(r"(?m)^\s*- alert: ", rule_text(path))[1:]:
            yield part.split()[0], part


def check_runbooks():
    linked = set()
    for alert, rule in alerts():
        book = re.search(r"runbook_url: (\S+)", rule)
        if not book:
            yield f"{alert}: no runbook_url"
        elif not (DEPLOY.parent / book[1]).is_file():
            yield f"{alert}: no file {book[1]}"
        else:
            linked.add(book[1])
            if f"`{alert}`" not in (DEPLOY.parent / book[1]).read_text(encoding="utf-8"):
                yield f"{alert}: {book[1]} does not mention it"
    for path in sorted((DEPLOY / "runbooks").glob("*.md")):
        if str(path.relative_to(DEPLOY.parent)) not in linked:
            yield f"{path.name}: no alert leads to it"
        known = {alert for alert, _ in alerts()}
        for alert in set(re.findall(r"`(Bascule[A-Z]\w+)`", path.read_text(encoding="utf-8"))) - known:
            yield f"{path.name}: there is no alert {alert}"


def check_commands():
    """Commands that runbooks tell people to type exist, with their options, as docs/cli.md has them."""
    manual = DEPLOY.parent / "proxy" / "docs" / "cli.md"
    sections = dict(re.findall(r"(?ms)^## `(bascule[^`]*)`\n(.*?)(?=^## |\Z)", manual.read_text(encoding="utf-8")))
    for path in [*sorted((DEPLOY / "runbooks").glob("*.md")), manual.parent / "operations.md"]:
        text = path.read_text(encoding="utf-8")
        for line in re.findall(r"`(bascule [^`]+)`", text) + re.findall(r"(?m)^    (?:.*&& )?(bascule .*)$", text):
            for command in re.split(r";|&&", line.partition("#")[0]):
                words = command.split()
                if not words or words[0] != "bascule":
                    continue
                name = next((it for it in (" ".join(words[:3]), " ".join(words[:2])) if it in sections), None)
                if name is None:
                    yield f"{path.name}: there is no command `{command.strip()}`"
                    continue
                for option in (it for it in words if re.fullmatch("--?[a-z][a-z-]*", it)):
                    if f"`{option}" not in sections[name]:
                        yield f"{path.name}: `{name}` has no option {option}"


def check_tested():
    """Each alert is shown to fire, and to be silent."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in TESTS)
    for alert, _ in alerts():
        found = re.findall(rf"alertname: {alert}\b[,\s]+exp_alerts:( \[\])?", text)
        if "" not in found:
            yield f"{alert}: no test in which it fires"
        if " []" not in found:
            yield f"{alert}: no test in which it is silent"


def check_panels():
    for name, board in boards():
        ids = [panel["id"] for panel in panels(board)]
        if len(ids) != len(set(ids)):
            yield f"{name}: two panels share an id"
        for panel in panels(board):
            if panel["type"] == "row":
                continue
            where = f"{name}: {panel['title']}"
            if not panel["fieldConfig"]["defaults"].get("unit"):
                yield f"{where}: no unit"
            if not panel.get("description"):
                yield f"{where}: no description"
            for source in [panel["datasource"]] + [target["datasource"] for target in panel["targets"]]:
                if source["uid"] != "${datasource}":
                    yield f"{where}: data source {source['uid']}"


def complaint(exprs):
    """What promtool says against these queries, read as the expressions of rules."""
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        rules = [{"record": f"q{index}", "expr": expr} for index, expr in enumerate(exprs)]
        json.dump({"groups": [{"name": "q", "rules": rules}]}, file)
        file.flush()
        run = subprocess.run(["promtool", "check", "rules", file.name], capture_output=True, text=True, check=False)
    return run.stderr.strip().splitlines()[-1] if run.returncode else None


def check_parse():
    asked = list(queries())
    # All at once, and one by one only to tell which it is.
    if complaint([expr for _, expr in asked]):
        for where, expr in asked:
            said = complaint([expr])
            if said:
                yield f"{where}: {said}"


def ask(url, path, **parameters):
    address = f"{url.rstrip('/')}{path}?{urllib.parse.urlencode(parameters)}"
    try:
        with DIRECT.open(address, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.loads(error.read() or b"{}") or {"status": "error", "error": str(error)}
    except OSError as error:
        sys.exit(f"no answer from Prometheus at {url} ({error}): start it, or name another")


def known(source):
    if source.startswith("http"):
        return set(ask(source, "/api/v1/label/__name__/values")["data"])
    text = Path(source).read_text(encoding="utf-8")
    return set(re.findall(r"(?m)^(?:# (?:TYPE|HELP) )?([a-zA-Z_:][\w:]*)[ {]", text))


def check_metrics(source):
    there, rules = known(source), recorded()
    for where, name in names():
        family = re.sub(r"_(bucket|sum|count)$", "", name)
        if ":" in name:
            if name not in rules:
                yield f"{where}: no rule records {name}"
        elif name not in there and family not in there and name not in WHERE_CONFIGURED:
            yield f"{where}: no metric {name}"


def check_evaluate(url):
    for where, expr in queries():
        answer = ask(url, "/api/v1/query", query=expr)
        if answer["status"] != "success":
            yield f"{where}: {answer.get('error')}"


def check_samples(url, seconds):
    end = time.monotonic() + float(seconds)
    # Marks are of events, and there need not have been one.
    missing = [it for it in queries() if not any(name in it[1] for name in WHERE_CONFIGURED | AFTER_AN_EVENT) and ": annotation " not in it[0]]
    while True:
        missing = [(w, e) for w, e in missing if not (ask(url, "/api/v1/query", query=e).get("data") or {}).get("result")]
        if not missing or time.monotonic() > end:
            break
        time.sleep(1)
    for where, expr in missing:
        yield f"{where}: no sample of {expr}"


def main(arguments):
    checks = {
        "runbooks": (check_runbooks, 0),
        "tested": (check_tested, 0),
        "commands": (check_commands, 0),
        "panels": (check_panels, 0),
        "parse": (check_parse, 0),
        "metrics": (check_metrics, 1),
        "evaluate": (check_evaluate, 1),
        "samples": (check_samples, 2),
    }
    check, wanted = checks.get(arguments[0] if arguments else "", (None, 0))
    if check is None or len(arguments) != wanted + 1:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    problems = list(check(*arguments[1:]))
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
