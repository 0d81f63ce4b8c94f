"""Make every table in results/ again from the cohort that LYMPHO_DATA names: results.py [NOTEBOOK ...]

The notebooks that write tables run first, in the order of their numbers and each in a process of its own, then those
that only read them. Finished runs stay in the cache folder, so a second call goes on where the first was stopped.
At the end every table is compared with the committed one; the exit status is 1 if a number has moved by more than
TOLERANCE, or if text, rows or columns differ. Columns of times are shown and may differ.
"""
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import pandas as pd

TOLERANCE = .005  # of a share or a score; of larger numbers, relative
TIMES = r"\b(ms|s|seconds|minutes)\b"
WRITES, READS = r"write_table\('\.\./results/", r"\.\./results"


def notebooks(names: list[str]) -> list[Path]:
    "Those that write tables, then those that read them; or the ones that are named."
    if names: return [Path(n) for n in names]
    found = {p: p.read_text(encoding="utf-8") for p in sorted(Path("nbs").glob("*.ipynb"))}
    writers = [p for p, text in found.items() if re.search(WRITES, text)]
    return writers + [p for p, text in found.items() if re.search(READS, text) and p not in writers]


def committed(path: Path) -> pd.DataFrame | None:
    "The table as it is in the last commit; None if it is new."
    shown = subprocess.run(["git", "show", f"HEAD:{path}"], capture_output=True, text=True)
    return pd.read_csv(io.StringIO(shown.stdout)) if not shown.returncode else None


def moved(old: pd.DataFrame, new: pd.DataFrame) -> tuple[float, str]:
    "The largest difference of a number, and in words what else differs."
    if list(old) != list(new) or len(old) != len(new): return 0., "other rows or columns"
    largest, words = 0., []
    for name in old:
        a, b = old[name], new[name]
        if not (pd.api.types.is_numeric_dtype(a) and pd.api.types.is_numeric_dtype(b)):
            if not a.astype(str).equals(b.astype(str)): words.append(f"other text in {name}")
        elif (a.isna() != b.isna()).any(): words.append(f"other gaps in {name}")
        elif not re.search(TIMES, name):
            apart = (a*1. - b).abs()/(a*1.).abs().clip(lower=1)
            largest = max(largest, float(apart.fillna(0).max()))
    return largest, ", ".join(words)


def main(names: list[str]):
    if not os.environ.get("LYMPHO_DATA"): sys.exit("results.py: name the cohort: make results COHORT=folder")
    for path in notebooks(names):
        start = perf_counter()
        done = subprocess.run([sys.executable, ".ci/refresh.py", "--flags", "data slow", path])
        if done.returncode: sys.exit(f"results.py: {path} failed; a second call goes on from here")
        print(f"{path.name}: {perf_counter() - start:.0f} s", flush=True)
    failed = False
    for path in sorted(Path("results").glob("*.csv")):
        old = committed(path)
        largest, words = moved(old, pd.read_csv(path)) if old is not None else (0., "new")
        failed |= largest > TOLERANCE or words not in ("", "new")
        print(f"{path}: largest difference {largest:.4f}{', ' if words else ''}{words}")
    sys.exit(failed)


if __name__ == "__main__": main(sys.argv[1:])
