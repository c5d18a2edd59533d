"""`python -m tests.fuzz --minutes 10`: looks for files that readers do not stand.

Needs the project installed, and is run in its root. Ends with 1 if it found any; they lie
in tests/fuzz/corpus then, so that the suite fails until they are dealt with.
"""

from __future__ import annotations

import argparse
import random
import sys
import time

from .corpus import FOLDER, keep
from .harness import Child
from .search import Search


def main() -> int:
    """Run the search and tell what it found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=None, help="default: another one each time")
    parser.add_argument("--only", default="", help="names of seeds must hold this text (.csv)")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else time.time_ns() % (1 << 32)
    print(f"seed {seed}, {arguments.minutes:g} minutes", flush=True)
    with Child(trace=True) as child:
        search = Search(child, random.Random(seed), only=arguments.only)
        end, told = time.monotonic() + 60 * arguments.minutes, 0
        while time.monotonic() < end:
            search.run(until=min(end, time.monotonic() + 30))
            print(f"{search.runs} files, {len(search.findings)} findings", flush=True)
            for case, outcome in search.findings[told:]:
                print(f"{keep(case)} {case.options}\n{outcome.kind}: {outcome.what}", flush=True)
            told = len(search.findings)
    for name, count in sorted(search.outcomes.items()):
        print(f"{count:8} {name}")
    print(f"{search.runs} files; {len(search.findings)} findings in {FOLDER}")
    return 1 if search.findings else 0


if __name__ == "__main__":
    sys.exit(main())
