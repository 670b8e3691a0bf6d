"""Unit tests of what is made of measurements: `cd loadtest && python3 -m unittest lib.test_bench`."""

import os
import socket
import tempfile
import threading
import time
import unittest
from pathlib import Path

from lib.bench import accounts, callgrind, cases, document, growth, load, proxies, report, websocket
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

    def test_every_proxy_has_a_configuration_for_every_case_that_it_is_measured_in(self):
        with tempfile.TemporaryDirectory() as folder:
            place = proxies.Place(Path(folder) / "place", 1, ["127.0.0.1:2"], Path(folder))
            for case in cases.CASES:
                for kind in proxies.KINDS:
                    if kind.name not in case.without:
                        text = kind("program").config(case, place)
                        self.assertNotRegex(text.replace("@WORDS@", ""), "@[A-Z_]+@", f"{kind.name}: {case.name}")


class Growth(unittest.TestCase):
    dimension = growth.Dimension("backends", "backends", (2, 20, 200, 2_000))

    def judged(self, processor, memory=(1, 1, 1, 1)):
        return growth.judge(self.dimension, [{"processor": p, "memory": m} for p, m in zip(processor, memory)])

    def test_the_slope_is_that_of_the_straight_line(self):
        self.assertAlmostEqual(growth.slope([(0, 5), (1, 7), (3, 11)]), 2)
        self.assertEqual(growth.slope([(1, 5)]), 0)
        result = self.judged([2, 20, 200, 2_000], [0.002, 0.02, 0.2, 2])
        self.assertAlmostEqual(result["slope"]["processor"], 1000)
        self.assertAlmostEqual(result["slope"]["memory"], 1.024)

    def test_what_grows_with_the_square_is_steeper_at_the_end_and_what_grows_evenly_is_not(self):
        self.assertEqual(self.judged([10 + n / 10 for n in self.dimension.values])["steeper"], [])
        self.assertEqual(self.judged([10 + n * n / 10_000 for n in self.dimension.values])["steeper"], ["processor"])
        # Noise of a busy machine is neither.
        self.assertEqual(self.judged([12, 10, 9, 25])["steeper"], [])

    def test_every_setting_changes_one_number(self):
        for dimension in growth.DIMENSIONS:
            for value, setting in zip(dimension.values, dimension.settings()):
                self.assertEqual(getattr(setting, dimension.name), value)
                self.assertLessEqual(sum(a != b for a, b in zip(vars(setting).values(), vars(dimension.beside).values())), 1)

    def test_checks_are_counted_by_the_tenth_of_the_last_second(self):
        even = growth.evenness([10 + n / 1000 for n in range(3_000)], 1.0)
        self.assertEqual(sum(even["counts"]), 1_000)
        self.assertTrue(99 <= even["least"] <= even["most"] <= 101)
        burst = growth.evenness([10] * 50 + [10.95] * 50 + [11], 1.0)
        self.assertEqual((burst["least"], burst["most"]), (0, 50))
        self.assertIsNone(growth.evenness([], 1.0))

    def test_the_page_has_what_grew(self):
        machine = {"cpu": "a processor", "cores": 2, "kernel": "6.1"}
        measured = {"machine": machine, "versions": {}, "rounds": 1, "seconds": 1, "results": []}
        grown = {"seconds": 5, "results": [self.judged([1, 2, 3, 4])], "checks": None}
        text = document.page(measured, None, grown)
        self.assertIn("| backends | 2, 20, 200, 2,000 | 1.0, 2.0, 3.0, 4.0 |", text)
        self.assertNotIn("What grows", document.page(measured, None))


class Messages(unittest.TestCase):
    def test_a_frame_is_masked_by_clients_alone(self):
        self.assertEqual(websocket.frame(b"Hello"), b"\x81\x05Hello")
        # RFC 6455, section 5.7.
        masked = websocket.frame(b"Hello", bytes([0x37, 0xFA, 0x21, 0x3D]))
        self.assertEqual(masked.hex(), "818537fa213d7f9f4d5158")

    def test_a_message_of_grpc_says_how_long_it_is(self):
        self.assertEqual(load.grpc_message(3), b"\0\0\0\0\x03xxx")

    def test_messages_that_come_back_are_counted_and_so_are_conversations_that_break_off(self):
        # It sends two messages back, then something else.
        listening = socket.create_server(("127.0.0.1", 0))

        def serve():
            with listening, listening.accept()[0] as connection, connection.makefile("rwb") as stream:
                while stream.readline().strip():
                    pass
                stream.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
                stream.flush()
                for answer in (websocket.Conversation.EXPECTED, websocket.Conversation.EXPECTED, websocket.frame(b"what?")):
                    stream.read(len(websocket.Conversation.SENT))
                    stream.write(answer)
                    stream.flush()

        thread = threading.Thread(target=serve)
        thread.start()
        address = "{}:{}".format(*listening.getsockname())
        self.assertEqual(websocket.converse(address, "/ws", 1, 60), (2, 1))
        thread.join()


if __name__ == "__main__":
    unittest.main()
