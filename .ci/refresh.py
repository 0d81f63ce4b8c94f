"""Run notebooks from top to bottom and store their outputs: refresh.py [--flags 'data slow cuda'] NOTEBOOK ...

With the flag `data` a notebook runs twice: on the synthetic cohort, and on the one that LYMPHO_DATA names. From the second run only the
outputs of cells that carry the flag are stored, so that nothing of a real patient comes into any other cell.
"""
import argparse
import os
import sys
from pathlib import Path

from execnb.nbio import write_nb
from execnb.shell import CaptureShell
from fastcore.all import working_directory
from nbdev.clean import nbdev_clean
from nbdev.config import get_config
from nbdev.process import NBProcessor


def flags_of(cell) -> set[str]: return set(getattr(cell, "directives_", None) or {})


def run(path: Path, skip: set[str]):
    "The notebook at `path`, run but for the cells that carry a flag in `skip`; stops at the first error."
    nb = NBProcessor(path, rm_directives=False).nb

    def left_alone(cell):
        if cell.cell_type != "code" or skip & flags_of(cell): return True
        cell.outputs = []

    with working_directory(path.parent): CaptureShell(path, mpl_format="png").run_all(nb, preproc=left_alone, postproc=stop_at_error)
    return nb


def stop_at_error(cell):
    "Leave the file as it was if a cell failed."
    for o in getattr(cell, "outputs", None) or []:
        if o["output_type"] == "error": sys.exit("\n".join(["".join(cell.source), *o["traceback"]]))


def refresh(path: Path, flags: set[str], skip: set[str]):
    "Store the outputs of the notebook at `path`, keeping those of cells that are not run."
    data = os.environ.pop("LYMPHO_DATA", None)
    nb = run(path, (skip - flags) | {"data"})
    if "data" in flags and any("data" in flags_of(c) for c in nb.cells):
        if not data: sys.exit("refresh.py: the flag data needs LYMPHO_DATA, the folder of a real cohort")
        os.environ["LYMPHO_DATA"] = data
        for cell, real in zip(nb.cells, run(path, skip - flags).cells):
            if "data" in flags_of(cell): cell.outputs = real.outputs
    write_nb(nb, path)
    nbdev_clean.__wrapped__(fname=path)


if __name__ == "__main__":
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--flags", default="", help="flagged cells to run too, e.g. 'data slow'")
    args.add_argument("notebooks", nargs="+", type=Path)
    args = args.parse_args()
    os.environ |= {"IN_TEST": "1", "TQDM_DISABLE": "1"}
    sys.path.insert(0, str(get_config().config_path))
    for path in args.notebooks:
        refresh(path.resolve(), set(args.flags.split()), set(get_config().tst_flags.split()))
        print(path)
