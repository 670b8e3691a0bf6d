"""Prints drills as Markdown: all numbers of Bascule, and the proxies side by side."""


def shown(value, unit=""):
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.0f}{unit}" if value >= 10 or value == int(value) else f"{value:.1f}{unit}"
    return f"{value}{unit}"


def markdown(head, rows):
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


HEAD = (
    "Fault", "Request", "failed", "may", "longest gap", "p50", "p99", "longest", "after repair",
    "executed twice", "attempts per request", "verdict",
)


def detailed(results):
    """Every number of each result; times are of the requests that were due while the fault lasted."""
    rows = []
    for it in results:
        if "sent" not in it:
            rows.append((it["fault"], it["request"], *["–"] * (len(HEAD) - 3), verdict(it)))
            continue
        attempts = it["attempts_per_request"]
        rows.append((
            it["fault"], it["request"], shown(it["failed"]), shown(it.get("bound")),
            *(shown(it[key], " ms") for key in ("longest_gap_ms", "p50_ms", "p99_ms", "max_ms")),
            shown(it["failed_after_repair"]), shown(it["executed_twice"] if it["request"] == "POST" else None),
            "–" if attempts is None else f"{attempts:.2f}", verdict(it),
        ))
    yield from markdown(HEAD, rows)


def verdict(result):
    if "bound" not in result and result["passed"]:
        return "–"
    return "passed" if result["passed"] else "**" + "; ".join(result["problems"]) + "**"


def side_by_side(results, names):
    """Failed requests of each proxy, for GET with the longest time without a success."""
    found = {(it["row"], it["proxy"]): it for it in results}
    rows = []
    for first in (it for it in results if it["proxy"] == names[0]):
        if any((first["row"], name) in found for name in names[1:]):
            cells = (cell(found.get((first["row"], name))) for name in names)
            rows.append((first["fault"], first["request"], *cells))
    yield from markdown(("Fault", "Request", *names), rows)


def cell(result):
    if result is None or "sent" not in result:
        return "–"
    text = str(result["failed"])
    if result["request"] == "GET":
        text += f", gap {shown(result['longest_gap_ms'], ' ms')}"
    if result["executed_twice"] and result["request"] == "POST":
        text += f", {result['executed_twice']} twice"
    return text


def line(result):
    """A result in a line, for whoever watches."""
    if "sent" not in result:
        return f"{result['proxy']} {result['row']}: {verdict(result)}"
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(result["failed_by_kind"].items()))
    return (
        f"{result['proxy']} {result['row']}: {result['failed']} failed{f' ({kinds})' if kinds else ''}, "
        f"longest gap {shown(result['longest_gap_ms'], ' ms')}, p99 {shown(result['p99_ms'], ' ms')}: {verdict(result)}"
    )
