"""What grows with what: the settings that are measured, and what is made of the numbers. No processes, no clock."""

from dataclasses import dataclass, replace

# How much steeper the end may be than what comes before it, and still be called linear: processor time of a few
# seconds is no more exact.
STRAIGHT = 2
# What is too little to be judged: thousandths of a core, and MiB.
NOISE = {"processor": 20, "memory": 4}
# What one more costs is told in these.
UNITS = {"processor": "µs a second", "memory": "KiB"}


@dataclass(frozen=True)
class Setting:
    """What one run of the proxy has to do."""

    idle: int = 0
    backends: int = 2
    routes: int = 1
    rate: int = 200
    # Pools beside the one that is asked for, and in how many of them a backend is lost.
    pools: int = 0
    incidents: int = 0
    readers: int = 0
    # Whether ten lines a second are written to the log.
    is_logging: bool = False


@dataclass(frozen=True)
class Dimension:
    """One number of the setting, and the values that it takes while all others stay."""

    name: str
    says: str
    values: tuple
    beside: Setting = Setting()

    def settings(self):
        return [replace(self.beside, **{self.name: value}) for value in self.values]


DIMENSIONS = (
    Dimension("idle", "idle client connections", (0, 1_000, 5_000, 10_000)),
    Dimension("backends", "backends, each checked once a second", (2, 20, 200, 2_000)),
    Dimension("routes", "routes, the last of them asked for", (1, 100, 1_000, 5_000)),
    Dimension("rate", "requests a second", (0, 200, 1_000, 3_000)),
    Dimension("incidents", "incidents open, of 50 pools", (0, 1, 10, 50), Setting(pools=50)),
    Dimension("readers", "readers of the live log, 10 lines a second", (0, 10, 100), Setting(is_logging=True)),
)


def slope(points):
    """By how much y grows with each x, by least squares."""
    count = len(points)
    middle_x, middle_y = sum(x for x, _ in points) / count, sum(y for _, y in points) / count
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / spread if spread else 0.0


def is_steeper(points, noise):
    """Whether it grows faster at the end than before: worse than linearly. What is within the noise is not judged."""
    (first_x, first_y), (before_x, before_y), (last_x, last_y) = points[0], points[-2], points[-1]
    if len(points) < 3 or last_y - before_y <= noise:
        return False
    early = max((before_y - first_y) / (before_x - first_x), 0)
    # What is little at the beginning may be any fraction of it.
    early = max(early, noise / (before_x - first_x))
    return STRAIGHT * early < (last_y - before_y) / (last_x - before_x)


def judge(dimension, measured):
    """`measured` has for each value thousandths of a core and MiB."""
    points = {
        what: [(value, it[what]) for value, it in zip(dimension.values, measured)] for what in ("processor", "memory")
    }
    return {
        "name": dimension.name, "says": dimension.says, "values": list(dimension.values),
        **{what: [y for _, y in seen] for what, seen in points.items()},
        # Of a core's time a second, in microseconds, and in KiB.
        "slope": {"processor": slope(points["processor"]) * 1000, "memory": slope(points["memory"]) * 1024},
        "steeper": [what for what, seen in points.items() if is_steeper(seen, NOISE[what])],
    }


def evenness(moments, interval, width=0.1):
    """How many checks came in each stretch of `width` seconds of the last whole `interval`, and how that spreads."""
    if not moments:
        return None
    end = max(moments)
    begin = end - interval
    counts = [0] * round(interval / width)
    for moment in moments:
        if begin <= moment < end:
            counts[min(int((moment - begin) / width), len(counts) - 1)] += 1
    mean = sum(counts) / len(counts)
    return {"counts": counts, "mean": mean, "least": min(counts), "most": max(counts)}


def cost(result, what):
    """What one more of it costs, in words."""
    seen = result[what]
    if max(seen) - min(seen) <= NOISE[what]:
        return "within the noise"
    return f"{result['slope'][what]:.1f} {UNITS[what]}"


def table(results):
    """A Markdown table, one line for each dimension."""
    lines = ["| with | at | processor time, ms a second | each costs | memory, MiB | each costs | |", "|---|---|---|---|---|---|---|"]
    for it in results:
        at = ", ".join(f"{value:,}" for value in it["values"])
        processor = ", ".join(f"{value:.1f}" for value in it["processor"])
        memory = ", ".join(f"{value:.1f}" for value in it["memory"])
        verdict = f"STEEPER at the end: {', '.join(it['steeper'])}" if it["steeper"] else ""
        costs = {what: cost(it, what) for what in UNITS}
        lines.append(f"| {it['says']} | {at} | {processor} | {costs['processor']} | {memory} | {costs['memory']} | {verdict} |")
    return "\n".join(lines)


def words(spread):
    """What is said of how checks are spread."""
    if not spread:
        return ""
    return (
        f"Checks of {spread['backends']:,} backends, in the last second of {spread['after']:.0f}: {spread['mean']:.0f} in 100 ms "
        f"on the average, {spread['least']} at least, {spread['most']} at most."
    )
