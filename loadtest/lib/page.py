"""Writes a run as one HTML page that needs nothing else: no script, no other file, no network."""

from html import escape

from lib.chart import BACKENDS, draw, names
from lib.points import unix_seconds

_STYLE = """
:root { color-scheme: light dark; --text: #1b2230; --dim: #5b6475; --line: #dfe3ea; --back: #f6f7f9; --card: #fff;
  --good: #0b6b3a; --bad: #b3261e; --p50: #00796b; --p99: #6a3fb5; --shade: #dbe5fb; --mark: #2f5bc7;
  --b0: #2f5bc7; --b1: #d98324; --b2: #00897b; --b3: #8e6bbf; }
@media (prefers-color-scheme: dark) { :root { --text: #e8ebf1; --dim: #a1aabb; --line: #343c4b; --back: #141821;
  --card: #1c212c; --good: #58c98b; --bad: #ff8a80; --p50: #4db6a6; --p99: #b79cf2; --shade: #24335a; --mark: #8fb0ff;
  --b0: #6f97f5; --b1: #e5a04f; --b2: #4db6a6; --b3: #b79cf2; } }
body { margin: 0; padding: 2rem clamp(1rem, 4vw, 3rem); background: var(--back); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 64rem; margin: auto; } h1 { margin: 0; font-size: 1.6rem; } h2 { margin: 2rem 0 .6rem; font-size: 1.1rem; }
p { margin: .3rem 0; } .dim, th, code { color: var(--dim); } .good { color: var(--good); } .bad { color: var(--bad); }
.card { overflow-x: auto; padding: 1rem 1.2rem; border: 1px solid var(--line); border-radius: .6rem; background: var(--card); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .8rem; margin: 1.2rem 0 0; }
.figures div { padding: .8rem 1.2rem; } .figures b { display: block; font-size: 1.35rem; font-weight: 600; line-height: 1.3; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { font-weight: 500; text-align: left; } th, td { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); }
tr:last-child td { border-bottom: 0; } td.n, th.n { text-align: right; white-space: nowrap; } th:last-child, td:last-child { padding-right: 0; }
.verdict td:first-child { width: 3rem; } code { font-size: .8rem; } @media (max-width: 40rem) { code { display: none; } }
svg { width: 100%; min-width: 40rem; } svg text { fill: var(--dim); font: 11px system-ui, sans-serif; }
svg path { fill: none; stroke-width: 1.5; } .grid { stroke: var(--line); } .p50 { stroke: var(--p50); stroke-dasharray: 4 3; }
.p99 { stroke: var(--p99); } .window { fill: var(--shade); } .moment, .name { stroke: var(--mark); } svg .name { fill: var(--mark); stroke: none; }
.failed { fill: var(--bad); } svg .backend-0 { fill: var(--b0); } svg .backend-1 { fill: var(--b1); } svg .backend-2 { fill: var(--b2); }
svg .backend-3 { fill: var(--b3); } svg .nobody { fill: var(--bad); }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1.2rem; } .legend i { display: inline-block; margin-right: .4rem; }
.key { width: 1.4rem; height: .28rem; border-top: 2px solid; } .swatch { width: .8rem; height: .8rem; border-radius: .2rem; vertical-align: -.08rem; }
"""
_WORDS = {True: '<b class="good">PASS</b>', False: '<b class="bad">FAIL</b>', None: "not judged"}
_MOMENTS = {"suspected_at": "suspected", "decided_at": "decided", "serving_at": "served elsewhere", "recovered_at": "recovered"}
# What k6's names stand for; the phase comes after it.
_CHECKS = {
    "http_req_failed": "failed requests", "http_req_duration": "latency, ms", "http_reqs": "requests",
    "checks": "answers that were as expected", "dropped_iterations": "requests that k6 did not get to send",
    "switch_seen": "moves of traffic that a poll saw", "failover_seen": "another backend became active", "failover_switch_ms": "time until it did, ms",
    "failovers": "moves of traffic that the proxy counted", "posts": "POSTs", "uploads": "bodies of 1 MiB",
    "websocket_messages": "WebSocket messages", "executed": "POSTs in the backends' lists", "backend_return_ms": "time until it was back, ms",
    "failback_ms": "time until traffic was back, ms", "faults_injected": "faults injected", "faults_survived": "faults with a failover",
    "open_descriptors_growth": "open descriptors, growth", "resident_growth_mib": "resident memory, growth in MiB",
}


def _number(value, unit=""):
    if value is None:
        return "–"
    return escape(f"{value:.4g}{unit}" if isinstance(value, float) else f"{value}{unit}")


def _time(milliseconds):
    if milliseconds is None:
        return "–"
    return f"{milliseconds / 1000:.3g} s" if 1000 <= milliseconds else f"{milliseconds:.3g} ms"


def _table(heads, rows, words=1):
    """A table whose first columns are words and whose others are numbers."""
    head = "".join(f'<th{"" if index < words else " class=n"}>{escape(text)}</th>' for index, text in enumerate(heads))
    lines = ("".join(f'<td{"" if index < words else " class=n"}>{cell}</td>' for index, cell in enumerate(line)) for line in rows)
    name = ' class="verdict"' if words == 2 else ""
    return f'<div class="card"><table{name}><tr>{head}</tr>{"".join(f"<tr>{line}</tr>" for line in lines)}</table></div>'


def _phases(result):
    for name, phase in result["phases"].items():
        shares = ", ".join(f"{backend} {count}" for backend, count in sorted(result["answers"].get(name, {}).items()))
        yield [
            escape(name), _number(phase["requests"]), _number(phase["failed"]), _time(phase["p50_ms"]), _time(phase["p99_ms"]),
            _time(phase["max_ms"]), escape(shares) or "–",
        ]


def _beside(comparison):
    """The same facts as k6 saw them and as Bascule recorded them."""
    k6, record = comparison["k6_latency"], comparison["record_latency"]["during"] or {}
    seconds = lambda value: _time(None if value is None else value * 1000)  # noqa: E731
    total, lost = comparison["total"], comparison["lost"]
    yield [_WORDS[total["agrees"]], "requests in the window", _number(total["k6"]), _number(total["record"])]
    yield [_WORDS[lost["agrees"]], "lost", _number(lost["k6"]), _number(lost["record"])]
    yield ["", "rescued, which a client cannot know", "", _number(comparison["rescued"]["record"])]
    yield ["", "p50", seconds(k6["p50_seconds"]), seconds(record.get("p50_seconds"))]
    yield ["", "p99", seconds(k6["p99_seconds"]), seconds(record.get("p99_seconds"))]
    yield ["", "detected in", "", seconds(comparison["detection_seconds"])]
    yield ["", "switched in", "", seconds(comparison["switch_seconds"])]


def _marks(incidents):
    for incident in incidents:
        window, moments = incident["window"], incident["moments"]
        if window["to"]:
            at = [(word, unix_seconds(moments[name])) for name, word in _MOMENTS.items() if moments.get(name)]
            yield incident["id"], (unix_seconds(window["from"]), unix_seconds(window["to"])), at


def _check(name):
    """A check in words, with k6's own name where there is room."""
    plain, _, tag = name.rstrip("}").partition("{")
    if plain not in _CHECKS:
        return escape(name)
    of = tag.partition(":")[2]
    return f"{escape(_CHECKS[plain] + (f', {of}' if of else ''))} <code>{escape(name)}</code>"


def _figures(result):
    """What one wants to know first."""
    phases, comparisons = result["phases"].values(), result["agreement"].get("comparisons", [])
    worst = lambda name: max((it[name] for it in comparisons if it[name] is not None), default=None)  # noqa: E731
    slowest = max((phase["p99_ms"] for phase in phases if phase["p99_ms"] is not None), default=None)
    failed = sum(phase["failed"] for phase in phases)
    yield "requests", _number(sum(phase["requests"] for phase in phases)), ""
    yield "failed", _number(failed), "bad" if failed else "good"
    if "posts lost" in result.get("counters", {}):
        yield "POSTs lost", _number(int(result["counters"]["posts lost"])), ""
    yield "p99 of the worst phase", _time(slowest), ""
    if comparisons:
        yield "rescued", _number(sum(it["rescued"]["record"] for it in comparisons)), ""
        for name, word in (("detection_seconds", "detected in"), ("switch_seconds", "switched in")):
            yield word, _time(None if worst(name) is None else worst(name) * 1000), ""


def _legend(answered):
    yield '<span><i class="key" style="border-color:var(--p99)"></i>p99</span>'
    yield '<span><i class="key" style="border-color:var(--p50);border-top-style:dashed"></i>p50</span>'
    for index, name in enumerate(names(answered)):
        shade = "bad" if name == "none" else f"b{min(index, BACKENDS - 1)}"
        text = "answered by no backend" if name == "none" else f"answered by {name}"
        yield f'<span><i class="swatch" style="background:var(--{shade})"></i>{escape(text)}</span>'
    yield '<span class="dim">incidents shaded, their moments as lines; red dots: failed requests</span>'


def render(result, points, answered=()):
    """The page as text."""
    passed = sum(line["pass"] is True for line in result["checks"])
    verdict = '<b class="good">passed</b>' if result["pass"] else '<b class="bad">failed</b>'
    details = result["agreement"]
    fault = result.get("switch", {}).get("fault")
    subject = escape(result["script"] + (f", {fault}" if fault else ""))
    figures = "".join(f'<div class="card"><b class="{name}">{value}</b><span class="dim">{word}</span></div>' for word, value, name in _figures(result))
    parts = [
        f"<h1>{subject}: {verdict}</h1>",
        f'<p class="dim">{escape(result["target"])} · {_number(result["rate_per_second"])} requests/s · ended '
        f'{escape(result["ended_at"])} · {passed} of {len(result["checks"])} checks passed</p>',
        f'<div class="figures">{figures}</div>',
        f'<h2>Over time</h2><p class="legend">{"".join(_legend(answered))}</p>',
        f'<div class="card">{draw(points, list(_marks(details.get("incidents", []))), answered)}</div>',
        "<h2>Phases</h2>",
        _table(["phase", "requests", "failed", "p50", "p99", "longest", "answered by"], _phases(result)),
    ]
    for comparison in details.get("comparisons", []):
        cause = escape(f"{comparison['incident']} ({comparison['cause']})")
        parts += [f"<h2>{cause}: k6 beside the record</h2>", _table(["", "", "k6", "Bascule"], _beside(comparison), words=2)]
    # What failed comes first.
    lines = sorted(result["checks"], key=lambda line: line["pass"] is True)
    checks = ([_WORDS[line["pass"]], _check(line["check"]), escape(line["promise"]), _number(line["observed"])] for line in lines)
    parts += ["<h2>Checks</h2>", _table(["", "check", "promised", "observed"], checks, words=2)]
    title = escape(f"{result['script']}: {'passed' if result['pass'] else 'failed'}")
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style><main>{''.join(parts)}</main></html>\n"
    )


def write(path, result, points, answered=()):
    """Writes the page to `path`."""
    path.write_text(render(result, points, answered), encoding="utf-8")
