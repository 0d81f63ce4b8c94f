"Run the checks of the repository: checks.py [--flags 'slow data'] [NAME ...]. A line a check, counts at the end."
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

CHECKS = {c.__name__: c for c in [*structure.CHECKS, *builds.CHECKS, pages.site, selftest.selftest]}
LONG = ["notebooks", "gpu", "site", "selftest", "faults"]


def report(label: str, check, *args) -> bool:
    "Run one check and print how it went."
    start = time.time()
    try: said = list(check(*args))
    except Exception as e: said = [f"the check itself failed: {type(e).__name__}: {e}"]
    problems = [s for s in said if not s.startswith("note: ")]
    lines = [f"{'FAILED' if problems else 'ok':7} {label:24} {time.time() - start:6.1f} s"]
    if problems: said.insert(0, f"should hold: {check.__doc__}")
    print("\n        ".join(lines + [line for s in said for line in s.splitlines()]), flush=True)
    return not problems


def in_parallel(repo: Repo, names: list[str], flags: str) -> list[bool]:
    "Run checks, and every notebook in a process of its own with a cache that starts empty; two at a time."
    with tempfile.TemporaryDirectory(prefix="lympho-cache-") as empty, ThreadPoolExecutor(2) as pool:
        cache = os.environ.get("LYMPHO_CACHE", empty)
        jobs = [(n, CHECKS[n], repo) for n in names if n != "notebooks"]
        if "notebooks" in names:  # those of high numbers take longest, so they come first
            jobs += [(nb.name, builds.notebook, repo, nb.name, flags, cache) for nb in reversed(repo.notebooks)]
        return list(pool.map(lambda job: report(*job), jobs))


def litter(repo: Repo, before: str):
    "A run of the checks leaves the checkout as it was; in CI that means clean."
    after = repo.run("git", "status", "--porcelain")[1]
    if after != ("" if os.environ.get("CI") else before): yield f"the run changed the checkout:\n{after}"


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    "The command line, or `words`, parsed."
    names = [*CHECKS, "notebooks"]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flags", default="", help="flagged cells to run too: slow, cuda, data")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(names)} (all when none is named)")
    args = parser.parse_args(words)
    if unknown := {*args.names} - {*names}: parser.error(f"there is no check {', '.join(sorted(unknown))}")
    return args


def main():
    args, names, repo = arguments(), [*CHECKS, "notebooks"], Repo(Path(__file__).parent.parent)
    sys.path.insert(1, str(repo.root))  # this checkout's package, whatever is installed
    before = repo.run("git", "status", "--porcelain")[1]
    wanted = args.names or names
    results = [report(name, CHECKS[name], repo) for name in wanted if name not in LONG]
    results += in_parallel(repo, [name for name in LONG if name in wanted], args.flags)
    if not args.names: results.append(report("litter", litter, repo, before))
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    sys.exit(not all(results))


if __name__ == "__main__": main()
