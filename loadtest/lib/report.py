"""Prints a run: phases, the PASS/FAIL table, the agreement in words, and a closing line."""

REMEDY = 'start the demo with "--load 0", and close what else sends requests'
WORDS = {True: "PASS", False: "FAIL", None: "----"}


def _short(value):
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _phases(result):
    yield f"{'phase':<8} {'requests':>8} {'failed':>6} {'error rate':>10} {'p50 ms':>7} {'p99 ms':>7} {'max ms':>7}  answered by"
    for name, phase in result["phases"].items():
        shares = ", ".join(f"{backend} {count}" for backend, count in sorted(result["answers"].get(name, {}).items()))
        ratio = "-" if phase["error_ratio"] is None else f"{phase['error_ratio']:.2%}"
        times = " ".join(f"{_short(phase[key]):>7}" for key in ("p50_ms", "p99_ms", "max_ms"))
        yield f"{name:<8} {phase['requests']:>8} {phase['failed']:>6} {ratio:>10} {times}  {shares}"


def _table(result):
    for line in result["checks"]:
        yield f"{WORDS[line['pass']]}  {line['check']:<38} {line['promise']:<14} {_short(line['observed'])}"


def _comparison(one):
    total, lost, latency = one["total"], one["lost"], one["k6_latency"]
    yield (
        f"agreement: {one['incident']} ({one['cause']}) {one['window']['from']} .. {one['window']['to']}: "
        f"total {total['record']} recorded, {total['k6']} by k6, {total['at_edges']} of them within "
        f"{one['edge_seconds'] * 1000:.3g} ms of an edge; lost {lost['record']} recorded, {lost['k6']} by k6; "
        f"rescued {one['rescued']['record']} recorded"
    )
    p50, p99 = ("-" if latency[key] is None else _short(latency[key] * 1000) for key in ("p50_seconds", "p99_seconds"))
    yield (
        f"switch: detected in {_short(one['detection_seconds'])} s, switched in {_short(one['switch_seconds'])} s; "
        f"k6 in the window: {_short(latency['error_ratio'])} failed, p50 {p50} ms, p99 {p99} ms"
    )


def _verdict(details):
    other = details.get("other_requests")
    if other is None:
        yield "agreement: not judged: the sidecar's /metrics gave no count of the pool's requests"
    elif other > 0:
        yield f"agreement: not judged: other traffic, {other} requests in the pool's counts are not k6's; {REMEDY}"
    elif other < 0:
        yield f"agreement: {-other} of k6's requests never reached the pool"
    elif not details["required"]:
        yield f"agreement: {'holds' if details['holds'] else 'does not hold'}"
    if not details["required"]:
        yield "agreement: for information only, it decides nothing (AGREEMENT=report)"


def show(result):
    """Prints the whole report of one results/NAME.json."""
    details = result["agreement"]
    print(f"\n{result['script']}  {result['target']}  {result['rate_per_second']} requests/s")
    for line in (*_phases(result), "", *_table(result), ""):
        print(line)
    for comparison in details.get("comparisons", []):
        for line in _comparison(comparison):
            print(line)
    for line in _verdict(details):
        print(line)
    passed = sum(line["pass"] is True for line in result["checks"])
    print(f"{passed} passed, {len(result['checks']) - passed} failed")
