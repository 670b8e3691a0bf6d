"""Unit tests of the drills' arithmetic: `cd loadtest && python3 -m unittest lib.drills.test_reckoning`."""

import json
import tempfile
import unittest
from pathlib import Path

from lib.drills import reckoning, table
from lib.drills.proxies import Bascule, Envoy, HaProxy
from lib.drills.reckoning import Moments, Request
from lib.drills.rows import FULL, ROWS, SHORT

START = 1_700_000_000.0


def at(due, took=0.001, fate="ok"):
    return Request(START + due, START + due + took, 0.0, fate)


def moments(fault, repaired, counted_from=None):
    return Moments(START + fault, START + fault + 0.002, START + repaired, counted_from and START + counted_from)


class Reckon(unittest.TestCase):
    def test_failures_are_told_apart_by_when_the_requests_were_due(self):
        failed = [at(0.5, fate="timeout"), at(1.5, fate="status_502"), at(1.9, 5, "timeout"), at(2.0, fate="timeout")]
        requests = [*failed, at(3)]
        result = reckoning.reckon(requests, moments(1, 2))
        self.assertEqual([result[it] for it in ("sent", "failed", "failed_before_fault", "failed_after_repair")], [5, 4, 1, 1])
        self.assertEqual(result["failed_by_kind"], {"timeout": 3, "status_502": 1})

    def test_times_are_those_of_requests_due_while_the_fault_lasted_failed_ones_too(self):
        requests = [at(0.5, took=9), *(at(1 + n / 100, took=n / 1000) for n in range(1, 100)), at(1.995, took=2, fate="timeout")]
        result = reckoning.reckon(requests, moments(1, 2))
        self.assertEqual([result[it] for it in ("in_window", "p50_ms", "p99_ms", "max_ms")], [100, 50.0, 99.0, 2000.0])

    def test_what_was_sent_before_the_new_proxy_accepted_does_not_count(self):
        requests = [at(1.1, fate="connection_refused"), at(1.6), at(1.7, fate="timeout")]
        result = reckoning.reckon(requests, moments(1, 2, counted_from=1.5))
        self.assertEqual((result["failed"], result["not_counted"]), (1, 1))

    def test_in_flight_is_what_was_sent_and_not_yet_over_when_the_fault_began(self):
        late = Request(START + 0.99, START + 1.2, 0.05, "ok")
        in_time = late._replace(late=0.005)
        requests = [at(0.9, 0.05), at(0.98, 0.03), at(0.99, 3, "timeout"), late, in_time, at(1.001, 0.01), at(1.003)]
        self.assertEqual(reckoning.reckon(requests, moments(1, 2))["in_flight_at_fault"], 4)

    def test_a_run_in_which_nothing_was_due_during_the_fault_has_no_times(self):
        result = reckoning.reckon([at(0)], moments(1, 2))
        self.assertEqual((result["p50_ms"], result["max_ms"], result["in_window"]), (None, None, 0))


class LongestGap(unittest.TestCase):
    def gap(self, *requests, since=1):
        found = reckoning.longest_gap(requests, START + since)
        return found if found is None else round(found, 6)

    def test_it_lies_between_two_successes_in_the_order_in_which_they_were_done(self):
        requests = [at(0, 0), at(1, 0.4), at(1.1, 0), at(1.2, 9, "timeout"), at(2, 0)]
        self.assertEqual(self.gap(*requests), 1.1)

    def test_it_may_begin_before_the_fault_but_must_end_after_it(self):
        self.assertEqual(self.gap(at(0, took=0), at(0.8, took=0), at(1.2, took=0), at(1.3, took=0)), 0.4)

    def test_it_stays_open_when_nothing_succeeds_any_more(self):
        self.assertEqual(self.gap(at(0, took=0), at(1, took=0), at(3, fate="timeout")), 2.0)

    def test_there_is_none_without_a_success(self):
        self.assertIsNone(self.gap(at(1, fate="timeout")))


class Quantile(unittest.TestCase):
    def test_it_is_the_smallest_value_that_covers_the_share(self):
        values = list(range(100, 0, -1))
        self.assertEqual([reckoning.quantile(values, it) for it in (0.0, 0.5, 0.99, 1.0)], [1, 50, 99, 100])
        self.assertEqual(reckoning.quantile([7], 0.99), 7)


class Executions(unittest.TestCase):
    def test_an_id_counts_across_backends_and_lives_of_a_process(self):
        ledgers = ["POST a\nPOST b\nGET c\nGET c\n", "POST b\nPOST d\n", ""]
        self.assertEqual(reckoning.executions(ledgers, "POST"), (4, 3, 1))
        self.assertEqual(reckoning.executions(ledgers, "GET"), (2, 1, 1))


class Attempts(unittest.TestCase):
    METRICS = """# TYPE bascule_requests_total counter
bascule_requests_total{listener="public",pool="api",code_class="2xx"} 300
bascule_requests_total{listener="public",pool="api",code_class="5xx"} 100
bascule_upstream_requests_total{pool="api",backend="a",outcome="success"} 400
bascule_upstream_requests_total{pool="api",backend="b",outcome="success"} 20
"""

    def test_they_are_summed_over_the_labels(self):
        self.assertEqual(reckoning.attempts_per_request(self.METRICS), 1.05)

    def test_metrics_that_are_missing_are_no_zero(self):
        self.assertIsNone(reckoning.attempts_per_request(""))
        self.assertIsNone(reckoning.sum_of(self.METRICS, "bascule_requests"))


class Problems(unittest.TestCase):
    def problems(self, row="kill-post", **changed):
        sound = {
            "bound": 2, "failed": 2, "failed_after_repair": 0, "executed_twice": 0, "sent": 10, "executed": 10,
            "attempts_per_request": 1.0, "failed_by_kind": {},
        }
        row = next(it for it in ROWS if it.key == row)
        return reckoning.problems(sound | changed, row, 10)

    def test_the_bound_itself_is_kept(self):
        self.assertEqual((self.problems(), self.problems(failed=3)), ([], ["3 failed, 2 may"]))

    def test_nothing_may_be_lost_after_the_repair_nor_posted_twice(self):
        self.assertEqual(self.problems(failed_after_repair=1), ["1 of them were sent after the repair"])
        self.assertEqual(self.problems(executed_twice=1), ["1 executed twice"])
        self.assertEqual(self.problems("kill-get", executed_twice=1), [])
        self.assertEqual(self.problems("kill-keyed-post", executed_twice=1), [])

    def test_quiet_costs_one_attempt_each(self):
        self.assertEqual(len(self.problems("none-get", attempts_per_request=1.01, executed=11)), 2)
        self.assertEqual(self.problems("none-get"), [])

    def test_a_load_that_was_not_kept_proves_nothing(self):
        self.assertEqual(len(self.problems(sent=9, failed_by_kind={"shed": 1})), 2)


class Records(unittest.TestCase):
    def test_times_count_from_when_a_request_was_due(self):
        lines = [{"id": "a", "due_ms": 500.0, "late_ms": 20.0, "took_ms": 30.0, "fate": "ok", "status": 200, "backend": "x"}]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "records"
            path.write_text("".join(json.dumps(it) + "\n" for it in lines), encoding="utf-8")
            found = reckoning.read(path, START)[0]
        self.assertEqual((found.due - START, round(found.done - START, 6), found.late), (0.5, 0.53, 0.02))


class Rows(unittest.TestCase):
    def test_each_has_a_name_of_its_own_and_no_get_may_fail(self):
        self.assertEqual(len({row.key for row in ROWS}), len(ROWS))
        self.assertTrue(all(row.bound == 0 for row in ROWS if row.method == "GET" or row.keyed))

    def test_schedules_leave_time_for_the_failback(self):
        self.assertTrue(all(it.fault < it.repair and it.repair + 4 < it.end for it in (FULL, SHORT)))


class Configurations(unittest.TestCase):
    TIERS = [[("a", "127.0.0.1:1"), ("b", "127.0.0.1:2")], [("c", "127.0.0.1:3")]]

    def test_a_row_s_backends_take_the_place_of_the_example_s(self):
        class Lane:
            proxy, admin = "127.0.0.1:7", "127.0.0.1:8"

        template = (Path(__file__).parent.parent.parent / "drill.yaml").read_text(encoding="utf-8")
        text = Bascule("bascule").filled(template, Lane, self.TIERS)
        self.assertIn('    backends:\n' + Bascule("bascule").backends(self.TIERS) + "    health_check:", text)
        self.assertNotIn("1800", text)
        self.assertNotIn("1801", text)

    def test_later_tiers_are_backups(self):
        self.assertEqual([" backup" in it for it in HaProxy("x").backends(self.TIERS).splitlines()], [False, False, True])
        self.assertIn("- priority: 1", Envoy("x").backends(self.TIERS))


class Speed(unittest.TestCase):
    def check(self, expected, **changes):
        result = {"passed": False, "request": "POST", "failed": 40, "failed_after_repair": 0, "executed_twice": 0}
        self.assertEqual(reckoning.is_a_matter_of_speed({**result, **changes}), expected)

    def test_only_what_a_slow_machine_can_bring_about_may_be_tried_again(self):
        self.check(True)
        self.check(True, request="GET", failed=0)
        self.check(False, passed=True)
        self.check(False, request="GET", failed=1)
        self.check(False, failed_after_repair=1)
        self.check(False, executed_twice=1)


class Shown(unittest.TestCase):
    def test_a_row_that_could_not_be_carried_out_is_a_failure_in_the_table(self):
        about = {"row": "kill-get", "fault": "kill", "request": "GET", "proxy": "bascule"}
        broken = {**about, "passed": False, "problems": ["no port"]}
        rows = list(table.detailed([broken]))
        self.assertIn("**no port**", rows[2])
        self.assertEqual(rows[2].count("|"), rows[0].count("|"))
        self.assertEqual(list(table.side_by_side([broken], ["bascule", "nginx"]))[2:], [])


if __name__ == "__main__":
    unittest.main()
