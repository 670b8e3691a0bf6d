"""Unit tests of the page that a run leaves: `cd loadtest && python3 -m unittest lib.test_page`."""

import unittest
from html.parser import HTMLParser

from lib import agreement, chart, page
from lib.points import Point
from lib.test_agreement import START, at, incident


class Tags(HTMLParser):
    """Collects what is opened and holds closing tags against it."""

    VOID = {"meta", "br"}

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.addresses = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag


def result(script="failover", passed=True):
    one = incident(2, 0)
    one["moments"].update(suspected_at="2026-01-02T03:04:05.100Z", decided_at=None, serving_at=None, recovered_at=None)
    seen = [at(0.1), at(0.4)]
    return {
        "script": script, "target": "http://127.0.0.1:8021", "rate_per_second": 200, "ended_at": "2026-01-02T03:04:09Z",
        "pass": passed, "answers": {"during": {"<a>": 2}},
        "phases": {"during": {"requests": 2, "failed": 0, "error_ratio": 0.0, "p50_ms": 1.0, "p99_ms": None, "max_ms": 1.5}},
        "checks": [agreement.row("a <check>", "==1", 1, passed)],
        "agreement": {"incidents": [one], "comparisons": [agreement.compare(seen, one, 0.005)]},
    }, seen


class Page(unittest.TestCase):
    def test_it_is_well_formed_and_asks_nobody_for_anything(self):
        tags = Tags(page.render(*result()))
        self.assertEqual(tags.open, [])
        self.assertEqual(tags.addresses, [])
        self.assertNotIn("script", tags.seen)

    def test_names_from_outside_are_text(self):
        text = page.render(*result())
        self.assertNotIn("<a>", text)
        self.assertIn("&lt;a&gt; 2", text)
        self.assertIn("a &lt;check&gt;", text)

    def test_what_failed_comes_first_and_k6s_names_are_words(self):
        shown, points = result(passed=False)
        shown["checks"] = [agreement.row("http_reqs{phase:during}", "count>0", 2, True), agreement.row("dropped_iterations", "==0", 3, False)]
        text = page.render(shown, points)
        self.assertLess(text.index("did not get to send"), text.index("requests, during"))
        self.assertIn("<code>http_reqs{phase:during}</code>", text)

    def test_the_verdict_is_in_the_title(self):
        self.assertIn("<title>failover: failed</title>", page.render(*result(passed=False)))


class Chart(unittest.TestCase):
    def test_every_point_is_in_one_column_and_failures_are_counted(self):
        points = [Point(START + index / 100, 0.001, index == 150) for index in range(1000)]
        parts, width = chart.columns(points, points[0].at, points[-1].at)
        self.assertEqual(sum(failed for *_, failed in parts), 1)
        self.assertLessEqual(len(parts), chart.COLUMNS + 1)
        self.assertGreaterEqual(width, chart.SHORTEST)

    def test_a_stretch_without_requests_breaks_the_line(self):
        text = chart.draw([Point(START, 0.001, False), Point(START + 5, 0.001, False)], [])
        self.assertEqual(text.count("L"), 0)

    def test_the_band_shows_who_answered_when(self):
        points = [Point(START + index / 10, 0.001, False) for index in range(100)]
        answered = [(point.at, "<b>" if index < 50 else "none") for index, point in enumerate(points)]
        text = chart.draw(points, [], answered)
        self.assertIn('class="band backend-0"', text)
        self.assertIn('class="band nobody"', text)
        self.assertNotIn("<b>", text)

    def test_a_run_without_requests_says_so(self):
        self.assertIn("No request", chart.draw([], []))


if __name__ == "__main__":
    unittest.main()
