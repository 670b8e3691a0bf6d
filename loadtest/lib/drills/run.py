"""One row, carried out: everything started, the load sent, the fault begun and repaired, the sums made."""

import json
import subprocess
import time
from http.client import HTTPException

from lib.drills import reckoning
from lib.drills.world import BACKUP, PREFERRED, Backend, CannotBegin, Network

# A client's patience; whoever has to wait for longer counts as failed.
TIMEOUT_SECONDS = 20

# Two checks of every proxy have passed by then, and it knows its backends.
SETTLE_SECONDS = 1.3


class Run:
    """A row under way. The functions in `rows` are given it, and tell it what they do."""

    def __init__(self, lane, row, proxy, schedule):
        self.lane = lane
        self.row = row
        self.proxy = proxy
        self.schedule = schedule
        self.network = Network(lane) if row.networked else None
        self.preferred = self._preferred()
        self.backup = Backend(lane, "backup-1", lane.first_port + BACKUP)
        self.times = 0
        self._proxy_process = None
        self._load = None
        self._began = None
        self._fault = None
        self._struck = None
        self._repaired = None
        self._counted_from = None

    def _preferred(self):
        port, backends = self.lane.first_port + PREFERRED, []
        for index in range(self.row.preferred):
            count = self.row.each[index] if self.row.each else None
            backends.append(Backend(self.lane, f"preferred-{index + 1}", port, count, self.network))
            port += count or 1
        return backends

    # ---- what a fault says -----------------------------------------------------------------------

    def begin(self):
        """Waits for the fault's moment."""
        self._wait_until(self.schedule.fault)
        self._fault = time.time()
        self.again()

    def again(self):
        """The fault strikes once more; it may cost as much each time."""
        self.times += 1

    def has_struck(self, killed):
        """Waits until the killed are dead. What was sent by then was sent to a living process."""
        for backend in killed:
            backend.until_dead()
        self._struck = time.time()

    def wait_for_repair(self, share=1):
        """Waits for the repair's moment; a share below 1 is one that is not the last."""
        self._wait_until(self.schedule.fault + (self.schedule.repair - self.schedule.fault) * share)
        if share == 1:
            self.repaired()

    def repaired(self):
        """From here on, nothing may be lost."""
        self._repaired = time.time()

    def is_repair_due(self):
        return self._began + self.schedule.repair <= time.time()

    def count_from_here(self):
        self._counted_from = time.time()

    def start_proxy(self):
        addresses = [address for backend in self.preferred for address in backend.addresses()]
        self._proxy_process = self.proxy.start(self.lane, [addresses, self.backup.addresses()])

    def kill_proxy(self):
        self.lane.processes.end(self._proxy_process)

    def _wait_until(self, seconds):
        time.sleep(max(0.0, self._began + seconds - time.time()))

    # ---- the whole of it -------------------------------------------------------------------------

    def carry_out(self):
        """The row's result, ready for the table and the JSON."""
        self.lane.log.truncate(0)
        try:
            self._start()
            self.row.fault(self)
            summary = self._finish_load()
            return self._result(summary)
        except (CannotBegin, OSError, HTTPException, subprocess.SubprocessError) as error:
            return self._described({"problems": [f"could not be carried out: {error}"], "log": self.lane.last_words()})
        finally:
            self._end()

    def _start(self):
        if self.network:
            self.network.open()
        for backend in (*self.preferred, self.backup):
            backend.start()
        self.start_proxy()
        self.proxy.wait_until_ready(self.lane, self._proxy_process)
        time.sleep(SETTLE_SECONDS)
        self._load = self.lane.processes.start(self._load_command(), self.lane.log, stdout=subprocess.PIPE)
        self._began = time.time()

    def _load_command(self):
        row = self.row
        command = [self.lane.programs["backend"], "load", f"http://{self.lane.proxy}{row.path}"]
        command += ["--rate", row.rate, "--duration", f"{self.schedule.end}s", "--timeout", f"{TIMEOUT_SECONDS}s"]
        command += ["--in-flight", 20_000, "--expect-blob", 4096, "--records", self._records()]
        command += ["--method", row.method, *(["--body-bytes", 200] if row.method == "POST" else [])]
        return [*command, *(["--idempotency-key"] if row.keyed else [])]

    def _records(self):
        return self.lane.folder / "records"

    def _finish_load(self):
        out, _ = self._load.communicate(timeout=self.schedule.end + TIMEOUT_SECONDS + 30)
        try:
            return json.loads(out)
        except ValueError:
            raise CannotBegin(f"the load ended with exit code {self._load.returncode}") from None

    def _result(self, summary):
        requests = reckoning.read(self._records(), summary["started_unix"])
        moments = reckoning.Moments(self._fault, self._struck or self._fault, self._repaired, self._counted_from)
        result = reckoning.reckon(requests, moments)
        metrics = self.proxy.metrics(self.lane)
        # Read after the end of the processes: nothing is executed any more.
        self._end()
        ledgers = [it.ledger.read_text(encoding="utf-8") for it in (*self.preferred, self.backup) if it.ledger.exists()]
        executed, _, twice = reckoning.executions(ledgers, self.row.method)
        result |= {
            "executed": executed,
            "executed_twice": twice,
            "attempts_per_request": reckoning.attempts_per_request(metrics),
            "answered_by": summary["answered_by"],
        }
        expected = -int(-self.row.rate * self.schedule.end // 1)
        if self.proxy.name == "bascule":
            at_once = result["in_flight_at_fault"] if self.row.in_flight_may else 0
            result["bound"] = max(self.row.bound, at_once) * self.times
            result["problems"] = reckoning.problems(result, self.row, expected)
            if result["problems"]:
                result["log"] = self.lane.last_words()
        return self._described(result)

    def _described(self, result):
        row = self.row
        about = {"row": row.key, "fault": row.title, "request": row.kind, "rate": row.rate, "proxy": self.proxy.name}
        return {**about, "passed": not result.get("problems"), **result}

    def _end(self):
        for process in (self._load, self._proxy_process):
            if process:
                self.lane.processes.end(process)
        for backend in (*self.preferred, self.backup):
            backend.end()
        if self.network:
            self.network.close()
