#!/usr/bin/env python3
"""Writes the Grafana dashboards beside this file.

usage: generate.py           writes dashboards/*.json
       generate.py --check   writes nothing; exit 1 when a committed file differs from what it would write
"""

import json
import sys
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import backends  # noqa: E402
import edge  # noqa: E402
import operation  # noqa: E402
import overview  # noqa: E402

FILES = {
    "failover-overview.json": overview.build,
    "backends.json": backends.build,
    "edge.json": edge.build,
    "operation.json": operation.build,
}


def main(arguments):
    if arguments not in ([], ["--check"]):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    folder = HERE / "dashboards"
    stale = sorted(path.name for path in folder.glob("*.json") if path.name not in FILES)
    for name, build in FILES.items():
        text = json.dumps(build(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        path = folder / name
        if arguments:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(name)
        else:
            folder.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if stale:
        print(f"{folder}: {', '.join(stale)} is not what generate.py writes; run it and commit the result", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
