"""What was measured, as ratios. Numbers in, numbers and text out."""

from statistics import median

# Every proxy beside these two, as far as they were measured.
BESIDE = ("haproxy", "bare")


def judge(case, rounds):
    """Medians, ratios by round, and whether the goals are met.

    `rounds` is a list of {proxy: value}. A ratio is the median of the rounds' own: what slowed a round down
    slowed both.
    """
    names = list(dict.fromkeys(name for one in rounds for name in one))
    values = {name: [one[name] for one in rounds if name in one] for name in names}
    ratios = {}
    for name in names:
        for other in BESIDE:
            pairs = [one[name] / one[other] for one in rounds if name in one and one.get(other)]
            if other != name and pairs:
                ratios.setdefault(name, {})[other] = median(pairs)
    own = ratios.get("bascule", {})
    goals = [
        {"beside": other, "at_most": most, "ratio": own.get(other), "met": None if other not in own else own[other] <= most}
        for other, most in (case.goals or {}).items()
    ]
    return {
        "case": case.name, "says": case.says, "unit": "KiB" if case.tool == "idle" else "µs",
        "median": {name: median(seen) for name, seen in values.items()},
        "spread": {name: [min(seen), max(seen)] for name, seen in values.items()},
        "ratio": ratios, "goals": goals,
    }


def table(results):
    """A Markdown table: processor time per request, and in brackets what Bascule takes of it."""
    names = list(dict.fromkeys(name for result in results for name in result["median"]))
    lines = [f"| | {' | '.join(names)} | goals |", f"|---|{'---|' * len(names)}---|"]
    for result in results:
        cells = []
        for name in names:
            value = result["median"].get(name)
            if value is None:
                cells.append("")
                continue
            ratio = result["ratio"].get("bascule", {}).get(name)
            cells.append(f"{value:.1f}" + (f" (×{ratio:.2f})" if ratio is not None else ""))
        goals = ", ".join(
            f"{'met' if goal['met'] else 'MISSED'}: ≤ {goal['at_most']:g} {goal['beside']}" for goal in result["goals"] if goal["met"] is not None
        )
        lines.append(f"| {result['says']}, {result['unit']} | {' | '.join(cells)} | {goals} |")
    return "\n".join(lines)
