"""Unit tests of the agreement check: `cd loadtest && python3 -m unittest lib.test_agreement`."""

import gzip
import json
import tempfile
import unittest
from pathlib import Path

from lib import agreement, points
from lib.points import Point, unix_seconds

START = unix_seconds("2026-01-02T03:04:05.000Z")


def incident(total, lost, back=None):
    return {
        "id": "api-1", "cause": "crash", "detection_seconds": 0.01, "switch_seconds": 0.001,
        "window": {"from": "2026-01-02T03:04:05.000Z", "to": "2026-01-02T03:04:06.000Z"},
        "requests": {"total": total, "rescued": 0, "lost": lost, "error_ratio": 0.0},
        "latency": {"before": None, "during": None, "after": None},
        "moments": {"failed_back_at": back},
    }


def at(offset, failed=False, latency=0.001):
    return Point(START + offset, latency, failed)


class Compare(unittest.TestCase):
    def verdict(self, seen, total, lost):
        result = agreement.compare(seen, incident(total, lost), 0.005)
        return result["total"]["agrees"], result["lost"]["agrees"]

    def test_equal_counts_agree_and_requests_outside_do_not_count(self):
        seen = [at(-0.5), at(0.1), at(0.2, failed=True), at(0.9), at(1.5, failed=True)]
        self.assertEqual(self.verdict(seen, 3, 1), (True, True))

    def test_a_request_at_an_edge_may_be_on_either_side(self):
        seen = [at(0.004), at(0.5), at(1.003)]
        self.assertEqual([self.verdict(seen, n, 0)[0] for n in (0, 1, 2, 3, 4)], [False, True, True, True, False])

    def test_without_requests_at_the_edges_one_off_disagrees(self):
        seen = [at(0.1), at(0.5)]
        self.assertEqual([self.verdict(seen, n, 0)[0] for n in (1, 2, 3)], [False, True, False])

    def test_lost_must_be_equal(self):
        seen = [at(0.004), at(0.4, failed=True), at(0.5, failed=True)]
        self.assertEqual([self.verdict(seen, 2, n)[1] for n in (1, 2, 3)], [False, True, False])

    def test_other_traffic_leaves_the_comparison_unjudged(self):
        comparison = agreement.compare([at(0.5)], incident(9, 0), 0.005)
        self.assertEqual([line["pass"] for line in agreement.compared_rows(comparison, 8)], [None, None])
        self.assertEqual([line["pass"] for line in agreement.compared_rows(comparison, None)], [None, None])
        self.assertEqual([line["pass"] for line in agreement.compared_rows(comparison, 0)], [False, True])


class Traffic(unittest.TestCase):
    def test_other_requests_are_the_difference(self):
        line, other = agreement.traffic_row(120, 100)
        self.assertEqual((line["pass"], other), (False, 20))

    def test_an_unknown_count_is_not_a_pass(self):
        line, other = agreement.traffic_row(None, 100)
        self.assertEqual((line["pass"], other), (None, None))


class Failback(unittest.TestCase):
    def passes(self, seen, back):
        return [line["pass"] for line in agreement.failback_rows(seen, incident(0, 0, back), 0.1)[0]]

    def test_no_failback_fails(self):
        self.assertEqual(self.passes([at(0)], None), [False])

    def test_no_samples_around_it_fail(self):
        self.assertEqual(self.passes([at(30)], "2026-01-02T03:04:05.500Z"), [True, False, False])

    def test_quiet_failback_passes(self):
        self.assertEqual(self.passes([at(0), at(1)], "2026-01-02T03:04:05.500Z"), [True, True, True])


class Executed(unittest.TestCase):
    def verdict(self, answered, lost, once, twice=0):
        counters = {"posts answered": answered, "posts lost": lost, "executed once": once, "executed twice": twice}
        return agreement.executed_rows(counters)[0]["pass"]

    def test_each_answered_post_was_executed_and_a_lost_one_may_have_been(self):
        self.assertEqual([self.verdict(10, 2, n) for n in (9, 10, 12, 13)], [False, True, True, False])

    def test_without_the_backends_word_nothing_is_judged(self):
        self.assertIsNone(agreement.executed_rows({"posts answered": 3})[0]["pass"])


class Reading(unittest.TestCase):
    def test_times_of_any_precision_and_zone(self):
        self.assertAlmostEqual(unix_seconds("2026-01-02T03:04:05.123456789Z") - START, 0.123456789, places=6)
        self.assertEqual(unix_seconds("2026-01-02T05:04:05+02:00"), START)
        with self.assertRaises(ValueError):
            unix_seconds("yesterday")

    def test_only_traffic_is_read(self):
        def line(metric, kind="traffic", expected="true", **more):
            tags = {"kind": kind, "expected_response": expected, **more}
            data = {"time": "2026-01-02T03:04:05Z", "value": 2.5, "tags": tags}
            return json.dumps({"metric": metric, "type": "Point", "data": data}, separators=(",", ":"))

        lines = [
            line("http_req_duration"), line("http_req_duration", expected="false"),
            line("http_req_duration", error_code="1050"), line("http_req_duration", kind="control"),
            line("http_reqs"), line("answers", phase="before", backend="a"), line("ws_session_duration", kind="mixed"),
            line("posts", outcome="lost"), line("posts", outcome="lost"), line("executed", verdict="once"),
            '{"type":"Metric","data":{},"metric":"http_req_duration"}',
        ]
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "points.json.gz"
            path.write_bytes(gzip.compress("\n".join(lines).encode()))
            seen, answers, counters, moments = points.read(path)
        http = [(START, 0.0025, failed) for failed in (False, True, True)]
        self.assertEqual([(p.at, p.latency, p.failed) for p in seen], [*http, (START, None, False)])
        self.assertEqual(counters, {"posts lost": 5.0, "executed once": 2.5})
        self.assertEqual(answers, {"before": {"a": 1}})

    def test_quantile_is_nearest_rank(self):
        seen = [at(0, latency=n / 1000) for n in range(1, 101)]
        self.assertEqual((points.quantile(seen, 0.5), points.quantile(seen, 0.99), points.quantile([], 0.5)), (0.05, 0.099, None))


if __name__ == "__main__":
    unittest.main()
