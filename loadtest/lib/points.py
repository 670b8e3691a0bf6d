"""Reads k6's own per-request results (`--out json=FILE`)."""

import gzip
import json
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Optional

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)$")


@dataclass(frozen=True)
class Point:
    """One finished request: `at` is when k6 had read the whole answer (Unix seconds).

    A WebSocket is one request, which lasts as long as it does; its `latency` is None.
    """

    at: float
    latency: Optional[float]
    failed: bool


def unix_seconds(text):
    """Converts an RFC 3339 time of any precision to Unix seconds."""
    match = _TIME.match(text)
    if not match:
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    base, fraction, zone = match.groups()
    zone = "+0000" if zone == "Z" else zone.replace(":", "")
    whole = datetime.strptime(base + zone, "%Y-%m-%dT%H:%M:%S%z").astimezone(timezone.utc)
    return whole.timestamp() + float(fraction or 0)


_COUNTERS = ("posts", "uploads", "websocket_messages", "executed")
_METRICS = ("http_req_duration", "ws_session_duration", "answers", *_COUNTERS)
# What the scripts send to the pool: k6's own calls of the sidecar and of the backends are not in it.
_TRAFFIC = ("traffic", "mixed")


def read(path):
    """Returns the traffic's points in the order of their finish, the answers per phase and backend, the sums of
    the script's own counters by name and outcome, and (moment, backend) of every answer."""
    points, answers, counters, moments = [], {}, {}, []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            # Most lines are other metrics: a search is much cheaper than decoding them.
            if not any(f'"metric":"{metric}"' in line for metric in _METRICS):
                continue
            entry = json.loads(line)
            if entry["type"] != "Point":
                continue
            data, tags = entry["data"], entry["data"].get("tags") or {}
            if entry["metric"] == "answers":
                phase = answers.setdefault(tags["phase"], {})
                phase[tags["backend"]] = phase.get(tags["backend"], 0) + 1
                moments.append((unix_seconds(data["time"]), tags["backend"]))
            elif entry["metric"] in _COUNTERS:
                outcome = tags.get("outcome") or tags.get("verdict")
                name = f"{entry['metric']} {outcome}"
                counters[name] = counters.get(name, 0) + data["value"]
            elif tags.get("kind") not in _TRAFFIC:
                continue
            elif entry["metric"] == "ws_session_duration":
                points.append(Point(unix_seconds(data["time"]), None, False))
            else:
                failed = tags.get("expected_response") != "true" or bool(tags.get("error_code"))
                points.append(Point(unix_seconds(data["time"]), data["value"] / 1000, failed))
    points.sort(key=lambda point: point.at)
    return points, answers, counters, sorted(moments)


def quantile(points, share):
    """The latency that `share` of the points do not exceed (nearest rank), in seconds, or None."""
    ranked = sorted(point.latency for point in points if point.latency is not None)
    if not ranked:
        return None
    return ranked[min(len(ranked) - 1, max(0, -int(-share * len(ranked) // 1) - 1))]


def digest(points):
    """Counts and latency of some points, in the shape of an incident's latency block."""
    failed = sum(point.failed for point in points)
    return {
        "requests": len(points),
        "failed": failed,
        "error_ratio": failed / len(points) if points else None,
        "p50_seconds": quantile(points, 0.5),
        "p99_seconds": quantile(points, 0.99),
    }
