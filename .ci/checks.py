"Every check of the repository: checks.py [--flags 'slow data'] [NAME ...]. Prints a line a check and counts at the end."
import argparse
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import builds
import pages
import selftest
import structure
from repo import Repo

CHECKS = {c.__name__: c for c in [*structure.CHECKS, *builds.CHECKS, *pages.CHECKS, selftest.selftest]}


def report(label: str, check, *args) -> bool:
    "Run one check and print how it went."
    start = time.time()
    try: said = list(check(*args))
    except Exception as e: said = [f"the check itself failed: {type(e).__name__}: {e}"]
    problems = [s for s in said if not s.startswith("note: ")]
    lines = [f"{'FAILED' if problems else 'ok':7} {label:24} {time.time() - start:6.1f} s"]
    if problems: lines.append(f"        should hold: {check.__doc__}")
    lines += ["        " + line for s in said for line in s.splitlines()]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    return not problems


def notebooks(repo: Repo, flags: str) -> list[bool]:
    "Test every notebook on disk in a process of its own, two at a time, with a cache that starts empty."
    names = [nb.name for nb in repo.notebooks]
    with tempfile.TemporaryDirectory(prefix="lympho-cache-") as empty, ThreadPoolExecutor(2) as pool:
        cache = os.environ.get("LYMPHO_CACHE", empty)
        done = list(pool.map(lambda n: report(n, builds.notebook, repo, n, flags, cache), names))
    print(f"        {len(done)} notebooks tested, {sum(f.endswith('.ipynb') for f in repo.files)} in the repository", flush=True)
    return done


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flags", default="", help="flagged cells to test too: slow, cuda, data")
    parser.add_argument("names", nargs="*", help=f"of: {', '.join(CHECKS)}, notebooks (all of them when none is named)")
    args = parser.parse_args()
    repo = Repo(Path(__file__).parent.parent)
    sys.path.insert(1, str(repo.root))  # this checkout's package, whatever is installed
    names = args.names or [*CHECKS, "notebooks"]
    if unknown := set(names) - {*CHECKS, "notebooks"}: parser.error(f"no check is called {', '.join(sorted(unknown))}")
    before = repo.git("status", "--porcelain")
    results = [report(n, CHECKS[n], repo) for n in names if n != "notebooks"]
    if "notebooks" in names: results += notebooks(repo, args.flags)
    if not args.names: results.append(report("litter", builds.litter, repo, before))
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    sys.exit(not all(results))


if __name__ == "__main__": main()
