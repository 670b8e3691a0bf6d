"""Writes a run as one HTML page that needs nothing else: no script, no other file, no network."""

from html import escape

from lib.chart import draw
from lib.points import unix_seconds

_STYLE = """
:root { color-scheme: light dark; --text: #1b2230; --dim: #5b6475; --line: #dfe3ea; --back: #f6f7f9; --card: #fff;
  --good: #0b6b3a; --bad: #b3261e; --p50: #00796b; --p99: #6a3fb5; --shade: #dbe5fb; --mark: #2f5bc7; }
@media (prefers-color-scheme: dark) { :root { --text: #e8ebf1; --dim: #a1aabb; --line: #343c4b; --back: #141821;
  --card: #1c212c; --good: #58c98b; --bad: #ff8a80; --p50: #4db6a6; --p99: #b79cf2; --shade: #24335a; --mark: #8fb0ff; } }
body { margin: 0; padding: 2rem clamp(1rem, 4vw, 3rem); background: var(--back); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 64rem; margin: auto; } h1 { margin: 0; font-size: 1.6rem; } h2 { margin: 2rem 0 .6rem; font-size: 1.1rem; }
p { margin: .3rem 0; } .dim, th { color: var(--dim); } .good { color: var(--good); } .bad { color: var(--bad); }
.card { overflow-x: auto; padding: 1rem 1.2rem; border: 1px solid var(--line); border-radius: .6rem; background: var(--card); }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { font-weight: 500; text-align: left; } th, td { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); }
tr:last-child td { border-bottom: 0; } td.n, th.n { text-align: right; } td:first-child { white-space: nowrap; }
svg { width: 100%; min-width: 40rem; } svg text { fill: var(--dim); font: 11px system-ui, sans-serif; }
svg path { fill: none; stroke-width: 1.5; } .grid { stroke: var(--line); } .p50 { stroke: var(--p50); stroke-dasharray: 4 3; }
.p99 { stroke: var(--p99); } .window { fill: var(--shade); } .moment, .name { stroke: var(--mark); } svg .name { fill: var(--mark); stroke: none; }
.failed { fill: var(--bad); } .key { display: inline-block; width: 1.4rem; height: 0; margin: 0 .4rem .25rem 1rem; border-top: 2px solid; }
"""
_WORDS = {True: '<b class="good">PASS</b>', False: '<b class="bad">FAIL</b>', None: "not judged"}
_MOMENTS = ("suspected_at", "decided_at", "serving_at", "recovered_at")


def _number(value, unit=""):
    if value is None:
        return "–"
    return escape(f"{value:.4g}{unit}" if isinstance(value, float) else f"{value}{unit}")


def _table(heads, rows):
    """A table whose first column is words and whose others are numbers."""
    head = "".join(f'<th{"" if index == 0 else " class=n"}>{escape(text)}</th>' for index, text in enumerate(heads))
    lines = ("".join(f'<td{"" if index == 0 else " class=n"}>{cell}</td>' for index, cell in enumerate(line)) for line in rows)
    return f'<div class="card"><table><tr>{head}</tr>{"".join(f"<tr>{line}</tr>" for line in lines)}</table></div>'


def _phases(result):
    for name, phase in result["phases"].items():
        shares = ", ".join(f"{backend} {count}" for backend, count in sorted(result["answers"].get(name, {}).items()))
        yield [
            escape(name), _number(phase["requests"]), _number(phase["failed"]), _number(phase["p50_ms"], " ms"),
            _number(phase["p99_ms"], " ms"), _number(phase["max_ms"], " ms"), escape(shares) or "–",
        ]


def _beside(comparison):
    """The same facts as k6 saw them and as Bascule recorded them."""
    k6, record = comparison["k6_latency"], comparison["record_latency"]["during"] or {}
    seconds = lambda value: _number(None if value is None else value * 1000, " ms")  # noqa: E731
    total, lost = comparison["total"], comparison["lost"]
    yield ["requests in the window", _number(total["k6"]), _number(total["record"]), _WORDS[total["agrees"]]]
    yield ["lost", _number(lost["k6"]), _number(lost["record"]), _WORDS[lost["agrees"]]]
    yield ["rescued", "a client cannot know", _number(comparison["rescued"]["record"]), ""]
    yield ["p50", seconds(k6["p50_seconds"]), seconds(record.get("p50_seconds")), ""]
    yield ["p99", seconds(k6["p99_seconds"]), seconds(record.get("p99_seconds")), ""]
    yield ["detected in", "", seconds(comparison["detection_seconds"]), ""]
    yield ["switched in", "", seconds(comparison["switch_seconds"]), ""]


def _marks(incidents):
    for incident in incidents:
        window, moments = incident["window"], incident["moments"]
        if window["to"]:
            at = [unix_seconds(moments[name]) for name in _MOMENTS if moments.get(name)]
            yield incident["id"], (unix_seconds(window["from"]), unix_seconds(window["to"])), at


def render(result, points):
    """The page as text."""
    passed = sum(line["pass"] is True for line in result["checks"])
    verdict = '<b class="good">passed</b>' if result["pass"] else '<b class="bad">failed</b>'
    details = result["agreement"]
    parts = [
        f'<h1>{escape(result["script"])}: {verdict}</h1>',
        f'<p class="dim">{escape(result["target"])} · {_number(result["rate_per_second"])} requests/s · ended '
        f'{escape(result["ended_at"])} · {passed} of {len(result["checks"])} checks passed</p>',
        '<h2>Over time</h2><p><span class="key" style="border-color:var(--p99)"></span>p99'
        '<span class="key" style="border-color:var(--p50);border-top-style:dashed"></span>p50'
        '<span class="dim"> · incidents shaded, their moments as lines · red: failed requests</span></p>',
        f'<div class="card">{draw(points, list(_marks(details.get("incidents", []))))}</div>',
        "<h2>Phases</h2>",
        _table(["phase", "requests", "failed", "p50", "p99", "longest", "answered by"], _phases(result)),
    ]
    for comparison in details.get("comparisons", []):
        cause = escape(f"{comparison['incident']} ({comparison['cause']})")
        parts += [f"<h2>{cause}: k6 beside the record</h2>", _table(["", "k6", "Bascule", ""], _beside(comparison))]
    checks = (
        [escape(line["check"]), escape(line["promise"]), _number(line["observed"]), _WORDS[line["pass"]]] for line in result["checks"]
    )
    parts += ["<h2>Checks</h2>", _table(["check", "promised", "observed", ""], checks)]
    title = escape(f"{result['script']}: {'passed' if result['pass'] else 'failed'}")
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style><main>{''.join(parts)}</main></html>\n"
    )


def write(path, result, points):
    """Writes the page to `path`."""
    path.write_text(render(result, points), encoding="utf-8")
