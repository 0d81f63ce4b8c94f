"""Run all that needs a GPU on a cohort, part by part: gpu.py COHORT, or gpu.py --rehearse

The parts are the flagged cells, the benchmark, and the end-to-end recipes. One that is done is not run again at the
same commit, so a call that was stopped goes on where it was. With --rehearse an end-to-end recipe runs at reduced
size, on synthetic patients and, where there is no GPU, on the CPU.
"""
import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CROPS = [f"crops-{name}" for name in "top1 top5 top10 topbottom5 topbottom10 mean custom".split()]
LYMPHO, CHECKS = ["-c", "from lympho.cli import main; main()"], [".ci/checks.py"]


def parts(cohort: str, out: str = "results/gpu.csv") -> dict[str, list[str]]:
    "Name of each part and the words of its command: `checks` is the program of the checks, `lympho` the package's."
    found = {"cells": ["checks", "--flags", "cuda slow data", "notebooks"]}
    bench = ["lympho", "bench", "--cohort", cohort, "--out", out, "--rows"]
    for row in "1234567": found[f"benchmark {row}"] = [*bench, row]
    for name in CROPS: found[name] = ["lympho", "crossval", cohort, "--recipe", name, "--jobs", "1"]
    return found


def call(words: list[str], **env):
    "Run the command; end where it fails."
    program = LYMPHO if words[0] == "lympho" else CHECKS
    env = os.environ | {"PYTHONPATH": str(ROOT)} | env
    done = subprocess.run([sys.executable, *program, *words[1:]], cwd=ROOT, env=env)
    if done.returncode: sys.exit(f"gpu.py: `{' '.join(words)}` failed")


def run(cohort: str):
    "Run the parts that are not done at this commit."
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    marks = ROOT / ".cache" / "gpu" / f"{commit[:12]}-{Path(cohort).name}"
    marks.mkdir(parents=True, exist_ok=True)
    for name, words in parts(cohort).items():
        if (marks / name).exists(): continue
        print(f"== {name}", flush=True)
        call(words, LYMPHO_DATA=cohort)
        (marks / name).touch()


def rehearse():
    "Parse what the checks are given, and train the end-to-end recipes at reduced size; nothing is left of it."
    import checks
    from lympho.cohort import Cohort
    from lympho.crossval import crossval
    from lympho.recipes import RECIPES
    from lympho.synthetic import synth_cohort
    checks.arguments(parts("cohort")["cells"][1:])
    with tempfile.TemporaryDirectory() as tmp:
        cohort = Cohort.from_folder(synth_cohort(Path(tmp) / "cohort", 16, cells=(3, 4)), decode=False)
        for name in CROPS:
            small = {"encoder": "random", "n_repeats": 1, "n_folds": 2, "n_inner": 2, "usable_only": False}
            recipe = replace(RECIPES[name], **small, params=RECIPES[name].params | {"epochs": 1, "m": 2})
            if crossval(cohort, recipe).predictions.logit.isna().any(): sys.exit(f"gpu.py: {name} predicts no logit")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rehearse", action="store_true", help="run an end-to-end recipe at reduced size")
    parser.add_argument("cohort", nargs="?", metavar="COHORT", help="folder of a cohort")
    args = parser.parse_args()
    if args.rehearse: rehearse()
    elif args.cohort: run(str(Path(args.cohort).resolve()))
    else: parser.error("name the cohort, or --rehearse")


if __name__ == "__main__": main()
