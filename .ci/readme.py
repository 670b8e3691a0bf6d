#!/usr/bin/env python3
"""Holds README.md to what is true: its links exist and its commands work.

usage: .ci/readme.py           links and commands are known (nothing is run)
       .ci/readme.py --live    also runs the commands that ask a running demo or a built `bascule`,
                               and checks every configuration that the README shows

A command is what a fenced block of language `sh` holds, without comments and `$ `. Commands that
take minutes are run by other tests; ELSEWHERE says by which, and the rest here makes sure that
they still name something that exists.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
HEALTH = "http://127.0.0.1:8021/proxy/health"
LIMIT_SECONDS = 60

# What is run by another test: a pattern, and how to tell that it names something that exists.
# `.ci/run` runs `make demo` and `make test`; `make test` the load tests and the page's scripts;
# `make compose-test` what Compose does. The rest is the reader's own business.
ELSEWHERE = [
    (r"git clone \S+( \S+)?|cd \S+", lambda command: None),
    (r"(sudo )?(apt-get|brew) .*", lambda command: None),
    (r"make(?: (?P<target>[a-z-]+))?(?: [A-Z]+=.*)?", lambda command: target_is_there(command["target"])),
    (r"docker compose (?P<rest>.*)", lambda command: files_are_there(command["rest"])),
    (r"loadtest/run (?P<name>[a-z-]+)( .*)?", lambda command: is_file(f"loadtest/{command['name']}.js", command["name"])),
    (r"loadtest/kill( .*)?", lambda command: is_file("loadtest/kill")),
    (r"loadtest/drill( .*)?", lambda command: is_file("loadtest/drill")),
    (r"npm (run )?(?P<script>\S+).*", lambda command: script_is_there(command["script"])),
    (r"cargo (build|test|run|install)\b.*", lambda command: None),
]
BASCULE = re.compile(r"(?:\S*/)?bascule(?P<rest> .*)?")
# These run until they are stopped, on ports that the demo has.
LONG_RUNNING = {"demo", "run", "proxy", "dashboard"}


def is_file(path, name=""):
    return None if name.startswith("--") or (ROOT / path).is_file() else f"{path} does not exist"


def target_is_there(target):
    if target is None or re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE):
        return None
    return f"the Makefile has no target `{target}`"


def files_are_there(rest):
    return next((problem for path in re.findall(r"-f (\S+)", rest) if (problem := is_file(path))), None)


def script_is_there(script):
    scripts = json.loads((ROOT / "dashboard/package.json").read_text(encoding="utf-8"))["scripts"]
    return None if script in ("ci", "install") or script in scripts else f"dashboard/package.json has no script `{script}`"


def blocks(text, *languages):
    """Yields (line number, text) of every fenced block in one of these languages."""
    for found in re.finditer(r"^```(\w*)[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        if found[1] in languages:
            yield text.count("\n", 0, found.start()) + 2, found[2]


def commands(text):
    """Yields (line number, command), continued lines joined, comments dropped."""
    for first, block in blocks(text, "sh", "bash", "console", "shell"):
        pending, began = "", 0
        for number, line in enumerate(block.splitlines(), first):
            line = re.sub(r"(^|\s)#.*$", "", line).strip().removeprefix("$ ")
            if not line and not pending:
                continue
            began = began or number
            if line.endswith("\\"):
                pending += line[:-1] + " "
                continue
            yield began, " ".join((pending + line).split())
            pending, began = "", 0


def parts(command):
    return [part.strip() for part in re.split(r"&&|;", command) if part.strip()]


def is_live(part):
    return part.startswith("curl ") or BASCULE.fullmatch(part)


def broken_links(text):
    """Pictures and relative links, anchors included."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"", prose):
        path = (link[0] or link[1]).split("#")[0]
        if path and not re.match(r"[a-z]+:", path) and not (ROOT / path).exists():
            yield f"README.md links to {path}, which does not exist"
    headings = {re.sub(r"[^\w\- ]", "", it.lower()).strip().replace(" ", "-") for it in re.findall(r"^#+ (.*)$", prose, re.MULTILINE)}
    for anchor in re.findall(r"\]\(#([^)\s]+)\)", prose):
        if anchor not in headings:
            yield f"README.md links to #{anchor}, which is no heading"


def unknown(number, part):
    """What is wrong with a command that is not run here, or None."""
    if is_live(part):
        return None
    for pattern, check in ELSEWHERE:
        found = re.fullmatch(pattern, part)
        if found:
            problem = check(found)
            return problem and f"README.md:{number}: `{part}`: {problem}"
    return f"README.md:{number}: no test runs `{part}`; teach .ci/readme.py about it"


def wait_until_well():
    """A command may have failed a backend; the next one should find the demo as a reader does."""
    end = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(HEALTH, timeout=2) as answer:
                if all(pool["status"] == "serving" for pool in json.load(answer)["pools"]):
                    return
        except OSError:
            pass
        time.sleep(0.2)
    sys.exit(f"error: {HEALTH} does not say that all is well; is `make demo` running?")


def as_run(part):
    """The command in the form that can be run beside a demo."""
    found = BASCULE.fullmatch(part)
    if not found:
        return part.replace("curl ", "curl --silent --show-error --fail-with-body --max-time 20 ", 1)
    words = (found["rest"] or "").split()
    if words and words[0] == "run" and "--config" in words:
        return f"bascule check {words[words.index('--config') + 1]}"
    if words and words[0] in LONG_RUNNING:
        options = [word.split("=")[0] for word in words if word.startswith("--")]
        checks = [f"bascule {words[0]} --help | grep -w -e '{option}' >/dev/null" for option in options]
        return " && ".join([f"bascule {words[0]} --help >/dev/null", *checks])
    return f"bascule {' '.join(words)}"


def run(label, command, environment):
    wait_until_well()
    try:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=ROOT, env=environment, timeout=LIMIT_SECONDS, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )
        if done.returncode == 0:
            print(f"ok      {label}")
            return None
        return f"{label}: exit code {done.returncode}\n{done.stdout.strip()}"
    except subprocess.TimeoutExpired:
        return f"{label}: did not end within {LIMIT_SECONDS} s"


def live(text):
    """Runs commands and checks configurations; yields the problems."""
    programs = next((TARGET / kind for kind in ("release", "debug") if (TARGET / kind / "bascule").is_file()), TARGET)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    for number, command in commands(text):
        for part in parts(command):
            if is_live(part):
                yield run(f"README.md:{number}: {part}", as_run(part), environment)
    for number, block in blocks(text, "yaml"):
        if re.search(r"^version:", block, re.MULTILINE):
            with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
                file.write(block)
                file.flush()
                yield run(f"README.md:{number}: the configuration", f"bascule check {file.name}", environment)


def main(arguments):
    if arguments not in ([], ["--live"]):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    if not README.is_file():
        print("error: README.md is missing", file=sys.stderr)
        return 1
    text = README.read_text(encoding="utf-8")
    known = [(number, part) for number, command in commands(text) for part in parts(command)]
    problems = [*broken_links(text), *(unknown(number, part) for number, part in known)]
    if not known:
        problems.append("README.md shows no command")
    if arguments:
        problems += live(text)
    problems = [problem for problem in problems if problem]
    for problem in problems:
        print(f"FAILED  {problem}", file=sys.stderr)
    if not problems:
        print(f"README.md: {len(known)} commands and all links are as they should be")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
