"""Unit tests of what is made of measurements: `cd loadtest && python3 -m unittest lib.test_bench`."""

import os
import time
import unittest

from lib.bench import accounts, callgrind, cases, document, report
from lib.bench.cases import Case


class Judge(unittest.TestCase):
    case = Case("get", "a GET", goals={"haproxy": 1.3, "bare": 0.75})

    def test_a_ratio_is_the_median_of_the_rounds_own(self):
        # The second round was slow for both: medians of the values would say 1.5.
        rounds = [{"bascule": 10, "haproxy": 10}, {"bascule": 30, "haproxy": 30}, {"bascule": 15, "haproxy": 10}]
        result = report.judge(self.case, rounds)
        self.assertEqual(result["ratio"]["bascule"]["haproxy"], 1.0)
        self.assertEqual(result["median"]["bascule"], 15)
        self.assertEqual(result["spread"]["bascule"], [10, 30])

    def test_a_goal_beside_a_proxy_that_is_not_there_is_not_judged(self):
        goals = report.judge(self.case, [{"bascule": 14, "haproxy": 10}])["goals"]
        self.assertEqual([(goal["beside"], goal["met"]) for goal in goals], [("haproxy", False), ("bare", None)])

    def test_the_table_has_a_line_for_each_case_and_says_what_is_missed(self):
        text = report.table([report.judge(self.case, [{"bascule": 14, "haproxy": 10}])])
        self.assertEqual(len(text.splitlines()), 3)
        self.assertIn("MISSED: ≤ 1.3 haproxy", text)


class Document(unittest.TestCase):
    def test_the_page_says_what_is_missed_and_what_was_counted(self):
        result = report.judge(Judge.case, [{"bascule": 14, "haproxy": 10}])
        machine = {"cpu": "a processor", "cores": 2, "kernel": "6.1"}
        measured = {"machine": machine, "versions": {"haproxy": "HAProxy 2.6"}, "rounds": 1, "seconds": 1, "results": [result]}
        text = document.page(measured, {"instructions": {"get": 1234, "gone": 1}})
        self.assertIn("- a GET: 1.40 of HAProxy, the goal is 1.3", text)
        self.assertIn("| 1,234 |", text)
        self.assertIn("- HAProxy: HAProxy 2.6", text)
        self.assertNotIn("Instructions", document.page(measured, None))

    def test_only_what_was_measured_is_said_to_take_less(self):
        def said(**values):
            machine = {"cpu": "a processor", "cores": 2, "kernel": "6.1"}
            result = report.judge(Judge.case, [values])
            return document.page({"machine": machine, "versions": {}, "rounds": 1, "seconds": 1, "results": [result]}, None)

        self.assertIn("**HAProxy takes less", said(bascule=14, haproxy=10))
        self.assertIn("**HAProxy and nginx take less", said(bascule=14, haproxy=10, nginx=9))
        self.assertNotIn(" less for small", said(bascule=14, haproxy=20))
        self.assertNotIn("nginx takes", said(bascule=14, haproxy=20))

    def test_every_case_that_is_counted_is_found_by_its_name(self):
        self.assertTrue(all(name == case.name for name, case in callgrind.CASES.items()))


class Accounts(unittest.TestCase):
    def test_work_is_counted_and_waiting_is_not(self):
        before = accounts.processor_seconds([os.getpid()])
        end = time.process_time() + 0.05
        while time.process_time() < end:
            pass
        worked = accounts.processor_seconds([os.getpid()])
        self.assertGreaterEqual(worked - before, 0.04)

    def test_this_process_is_its_own_family_and_has_memory(self):
        self.assertIn(os.getpid(), accounts.family(os.getpid()))
        self.assertGreater(accounts.memory_bytes([os.getpid()]), 1 << 20)


class Cases(unittest.TestCase):
    def test_names_are_unique_and_strangers_are_named(self):
        self.assertEqual(len({case.name for case in cases.CASES}), len(cases.CASES))
        with self.assertRaises(KeyError):
            cases.named(["nobody"])


if __name__ == "__main__":
    unittest.main()
