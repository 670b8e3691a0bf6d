"""Draws a run over time as SVG: latency, failures, and the incidents shaded. Numbers in, markup out."""

import math
from html import escape

from lib.points import quantile

WIDTH, HEIGHT = 960, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 28, 66
# Who answered, below the latency: the top of the band, and its height.
BAND, BAND_HEIGHT = HEIGHT - 52, 22
# More backends than that share the last colour.
BACKENDS = 4
# As many columns as can be told apart; none shorter than a tenth of a second.
COLUMNS = 240
SHORTEST = 0.1


def columns(points, began, ended):
    """The run cut into equal stretches: (start, p50, p99, failed) each, in seconds; None where nothing finished."""
    width = max(SHORTEST, (ended - began) / COLUMNS)
    stretches = [[] for _ in range(max(1, math.ceil((ended - began) / width)))]
    for point in points:
        stretches[min(len(stretches) - 1, int((point.at - began) / width))].append(point)
    return [
        (began + index * width, quantile(some, 0.5), quantile(some, 0.99), sum(point.failed for point in some))
        for index, some in enumerate(stretches)
    ], width


class _Axes:
    """Where a moment and a latency stand; latency is logarithmic."""

    def __init__(self, began, ended, highest):
        self.began, self.ended = began, max(ended, began + SHORTEST)
        self.low = 1e-4
        self.high = 10 ** math.ceil(math.log10(max(highest, 1e-2)))

    def x(self, moment):
        share = (moment - self.began) / (self.ended - self.began)
        return LEFT + min(1, max(0, share)) * (WIDTH - LEFT - RIGHT)

    def y(self, latency):
        share = math.log10(max(latency, self.low) / self.low) / math.log10(self.high / self.low)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _line(axes, parts, width, which, name):
    path, pen_is_up = [], True
    for part in parts:
        if part[which] is None:
            pen_is_up = True
            continue
        path.append(f"{'M' if pen_is_up else 'L'}{axes.x(part[0] + width / 2):.1f} {axes.y(part[which]):.1f}")
        pen_is_up = False
    return f'<path class="{name}" d="{"".join(path)}"/>'


def _grid(axes):
    exponent = round(math.log10(axes.low))
    while 10**exponent <= axes.high * 1.0001:
        value = 10**exponent
        label = f"{value:g} s" if value >= 1 else f"{value * 1000:g} ms"
        y = axes.y(value)
        yield f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/><text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'
        exponent += 1
    length = axes.ended - axes.began
    step = next(it for it in (1, 2, 5, 10, 30, 60, 300, 600, 1800, 3600) if length / it <= 12 or it == 3600)
    for index in range(int(length / step) + 1):
        at = index * step
        yield f'<text x="{axes.x(axes.began + at):.1f}" y="{HEIGHT - 8}" text-anchor="middle">{at:g} s</text>'


def _incident(axes, name, window, moments):
    start, end = axes.x(window[0]), axes.x(window[1])
    yield f'<rect class="window" x="{start:.1f}" y="{TOP}" width="{max(2, end - start):.1f}" height="{HEIGHT - TOP - BOTTOM}"/>'
    yield f'<text class="name" x="{start + 4:.1f}" y="{TOP - 8}">{escape(name)}</text>'
    for word, moment in moments:
        line = f'<path class="moment" d="M{axes.x(moment):.1f} {TOP}V{HEIGHT - BOTTOM}"><title>{escape(f"{name}: {word}")}</title></path>'
        yield line


def names(answered):
    """The backends that answered, in the order of their colours; what none answered comes last."""
    return sorted({backend for _, backend in answered}, key=lambda it: (it == "none", it))


def colour(index, name):
    """The class of a backend's part of the band."""
    return "nobody" if name == "none" else f"backend-{min(index, BACKENDS - 1)}"


def _band(axes, answered, width):
    """The shares of the backends in each stretch, one above the other."""
    order, counts = names(answered), {}
    for moment, backend in answered:
        stretch = counts.setdefault(int((moment - axes.began) / width), {})
        stretch[backend] = stretch.get(backend, 0) + 1
    for index, (backend, name) in enumerate((it, colour(at, it)) for at, it in enumerate(order)):
        path = []
        for stretch, by in sorted(counts.items()):
            below = sum(by.get(it, 0) for it in order[:index]) / sum(by.values())
            share = by.get(backend, 0) / sum(by.values())
            if share:
                start, end = axes.x(axes.began + stretch * width), axes.x(axes.began + (stretch + 1) * width)
                top = BAND + BAND_HEIGHT * below
                path.append(f"M{start:.1f} {top:.1f}H{end:.1f}V{top + BAND_HEIGHT * share:.1f}H{start:.1f}Z")
        yield f'<path class="band {name}" d="{"".join(path)}"><title>{escape(backend)}</title></path>'


def draw(points, incidents, answered=()):
    """An SVG of the run. `incidents`: (name, (from, to), (word, moment)…), `answered`: (moment, backend), all in
    Unix seconds."""
    timed = [point for point in points if point.latency is not None]
    if not timed:
        return "<p>No request finished.</p>"
    began, ended = timed[0].at, timed[-1].at
    parts, width = columns(timed, began, ended)
    axes = _Axes(began, ended, max(point.latency for point in timed))
    marks = [mark for incident in incidents for mark in _incident(axes, *incident)]
    failures = [
        f'<circle class="failed" cx="{axes.x(start + width / 2):.1f}" cy="{TOP + 6}" r="4"><title>{failed} failed</title></circle>'
        for start, _, _, failed in parts if failed
    ]
    body = [*marks, *_grid(axes), _line(axes, parts, width, 2, "p99"), _line(axes, parts, width, 1, "p50"), *failures]
    body += _band(axes, answered, width)
    title = f"p50 and p99 of {len(timed)} requests over {ended - began:.0f} s"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        f'{"".join(body)}</svg>'
    )
