"""What a process and its children have taken, by the kernel's accounts."""

import os
import platform
from pathlib import Path

PROC = Path("/proc")


def _children():
    """Parent's pid by pid, of everything that runs."""
    parents = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                # The name in brackets may hold anything, brackets too.
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(fields[1])
    return parents


def family(pid):
    """The process and all that descend from it."""
    parents, found = _children(), [pid]
    for member in found:
        found += [child for child, parent in parents.items() if parent == member]
    return found


def processor_seconds(pids):
    """Time on a processor, of all threads, to the nanosecond. Threads that ended are in the process's ticks only,
    so processes that start threads while they are measured are told a little less than they took."""
    total = 0
    for pid in pids:
        for task in (PROC / str(pid) / "task").glob("*/schedstat"):
            try:
                total += int(task.read_text().split()[0])
            except OSError:
                continue
    return total / 1e9


def memory_bytes(pids):
    """Resident memory, shared pages by their share."""
    total = 0
    for pid in pids:
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def machine():
    """What it was measured on."""
    cpu = next((line.split(":")[1].strip() for line in open(PROC / "cpuinfo", encoding="utf-8") if line.startswith("model name")), "")
    return {"cpu": cpu, "cores": os.cpu_count(), "kernel": platform.release()}
