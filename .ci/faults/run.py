"""Try the program with what should not be: run.py [--short] [NAME ...]

A module of tries is a file beside this one with a function `tries(scale)` that yields `(kind, outcome)`, a try at a
time: the kind is a phrase, and the outcome begins with one of the six words of `kit.OUTCOMES`, perhaps followed by a
colon and what happened. `scale` is 1, or a share of it with --short. The exit status is 1 unless the last four are
0 everywhere. A whole module leaves its sums in results/faults.csv.
"""
import argparse
import faulthandler
import importlib
import sys
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
sys.path[1:1] = [str(HERE.parent.parent)]  # this checkout's package, whatever is installed
MODULES = {p.stem: p for p in sorted(HERE.glob("*.py")) if "\ndef tries(" in p.read_text(encoding="utf-8")}
PATIENCE = 600  # seconds without an outcome after which the run ends with a traceback, whatever it is busy with


def tried(name: str, scale: float, counts: dict[str, Counter]):
    "Make the tries of a module; count their outcomes by kind, and yield what happened where one is bad."
    from kit import OUTCOMES
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    for kind, outcome in importlib.import_module(name).tries(scale):
        faulthandler.dump_traceback_later(PATIENCE, exit=True)
        word = outcome.split(":")[0]
        if word not in OUTCOMES: raise ValueError(f"{name}: {word!r} is not among {', '.join(OUTCOMES)}")
        counts.setdefault(f"{name}: {kind}", Counter())[word] += 1
        if word in OUTCOMES[2:]: yield f"{name}: {kind}: {outcome}"
    faulthandler.cancel_dump_traceback_later()


def table(counts: dict[str, Counter]) -> str:
    "The outcomes by kind, and their sums."
    from kit import OUTCOMES
    rows = counts | {"all": sum(counts.values(), Counter())}
    width = max(map(len, rows))
    lines = [f"{'':{width}}  {'tries':>7}" + "".join(f"{word:>{len(word) + 3}}" for word in OUTCOMES)]
    for kind, n in rows.items():
        lines.append(f"{kind:{width}}  {n.total():7}" + "".join(f"{n[word]:{len(word) + 3}}" for word in OUTCOMES))
    return "\n".join(lines)


def write_sums(counts: dict[str, Counter], file: Path):
    "The sums of these modules in a table; rows of the others stay as they are."
    import pandas as pd
    from kit import OUTCOMES

    from lympho.core import write_table
    names = [kind.split(":")[0] for kind in counts]
    sums = pd.DataFrame(list(counts.values()), columns=OUTCOMES).fillna(0).astype(int).groupby(names).sum()
    sums.insert(0, "tries", sums.sum(axis=1))
    rows = sums.combine_first(pd.read_csv(file, index_col="module")) if file.is_file() else sums
    write_table(file, rows[[*sums]].astype(int).rename_axis("module").reset_index())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a few of the tries, for every run of the checks")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(MODULES)} (all when none is named)")
    args = parser.parse_args()
    if unknown := {*args.names} - {*MODULES}: parser.error(f"there is no module {', '.join(sorted(unknown))}")
    from kit import SHORT
    counts, bad, start = {}, [], time.time()
    for name in args.names or MODULES:
        for line in tried(name, SHORT if args.short else 1, counts):
            bad.append(line)
            print(line, flush=True)
    print(f"{table(counts)}\n{time.time() - start:.0f} s")
    if not counts: sys.exit("no try was made")
    if not args.short: write_sums(counts, HERE.parent.parent/"results/faults.csv")
    sys.exit(bool(bad))


if __name__ == "__main__": main()
