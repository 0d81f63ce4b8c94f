"The checks are checked: every one must name the fault that is planted for it in a copy of the repository."
from functools import partial
from pathlib import Path

import builds
import pages
import structure
from execnb.nbio import mk_cell, new_nb, write_nb
from repo import Repo

MODULE = '''
import yaml
from math import *

__all__ = ["judge_twice"]

def judge_twice(
    x, # a number
    y=2
): # two of it
    "What speaks for `x`."
    return yaml
'''
PLANTED = ["# No sentence", "#| default_exp other", "#| export\nfrom math import sqrt",
           "from lympho.cohort import Cohort", "#| exprot\nx = 1", "y = 1" + " + 1" * 40,
           "#| export\ndef long(x):\n    'Long.'\n" + "    x = x\n" * 30, "1/0",
           "# Maths\n\n$x^{2$"]
STALE = ["# Stale\n\n> It is.", "# Links\n\n[a](nowhere.ipynb), [b](index.ipynb#nowhere), a twin", "1 + 1"]
COPIED = ["# Copied\n\n> It is.", "#| hide\nfrom math import pi", "pi"]
WRONG = {"data": {"text/plain": ["two"]}, "execution_count": None, "metadata": {}, "output_type": "execute_result"}
WARNED = {"name": "stderr", "output_type": "stream", "text": ["a warning\n"]}
TRIES = "\ndef tries(scale): yield 'a planted try', 'loss: of a file'\n"
FILES = {"lympho/planted.py": MODULE, ".ci/faults/planted.py": TRIES, "model.npy": "",
         "patients.csv": "Patient,x\nA,1\n", "README.md": "A twin.",
         "results/numbered.csv": "".join(f"{x}\n" for x in ["case", *range(1, 31)]),
         "quarto": "#!/bin/sh\necho 'WARN: Unable to resolve link target'",
         "CONTRIBUTING.md": "```sh\nlympho crossval x --recipes y\n```\n",
         "notes.md": f"Some/where: /{'home/ada'}, SOURCE\n{'<' * 7} HEAD\n"}
EDITS = [("lympho/pooling.py", "torch.arange(len(x), device=x.device), x, self", "torch.arange(len(x)), x, self"),
         (".ci/gpu.py", '"bench", "--cohort"', '"bench"'), (".ci/gpu.py", 'parts("cohort")["cells"][1:]', '["titels"]'),
         ("settings.ini", "numpy>=1.26", "numpy>=99"), ("settings.ini", "description = ", "description = Not "),
         ("MANIFEST.in", "settings.ini", "")]
EXPECTED = {  # what each check must say of these faults
    "titles": ["00_planted.ipynb: the first cell"],
    "names": ["0 is taken", "it needs `#| default_exp planted`", "twice: 00_planted.ipynb"],
    "imports": ["cohort has 01"],
    "cells": ["`#| exprot` is not among", "stores: stderr", "has 32 lines"],
    "visible": ["79_copied.ipynb: cell `pi`: pi comes from a hidden cell"],
    "documented": ["judge_twice lacks a docment on y"],
    "checked": ["judge_twice has no check"],
    "files": ["model.npy is data", "patients.csv: such a file belongs into results/",
              "patients.csv has a row for each patient or image (Patient)", "numbered.csv has a row for each patient"],
    "texts": ["leave machine paths out", "choose a side", "only settings.ini says it"],
    "packages": ["for numpy>=99", "planted.py imports yaml"],
    "devices": ["pooling.py: weighted: `torch.arange(len(x))` has no device"],
    "words": ["judge; use evaluate", "speaks for; use raises", "README.md, paragraph 1: twin; use ref",
              "98_stale.ipynb, paragraph 4: twin; use ref"],
    "drift": ["planted.py is", "README.md is out of date", "nbs/nbdev.yml is out of date"],
    "gpu": ["there is no check titels"],
    "ruff": ["F403", "E501"],
    "faults": ["planted: a planted try: loss: of a file"],
    "wheel": ["python -m build fails"],
    "commands": ["Got unexpected extra", "No such option: --recipes"],
    "site": ["Could not convert TeX math x^{2", "nowhere.ipynb leads to nothing",
             "index.ipynb#nowhere leads to no heading"],
    "error": ["ZeroDivisionError"],
    "stale": ["`two` is stored"],
    "rendered": ["quarto: WARN: Unable to resolve"],
}


def plant(root: Path):
    "Put three bad notebooks and a bad module beside the first notebooks of a repository, and faults into other files."
    tries = [p for p in (root / ".ci/faults").glob("*.py") if p.stem not in ("run", "kit")]
    for path in [*(root / "nbs").glob("[!i0]*.ipynb"), *tries]: path.unlink()
    for name, sources in {"00_planted": PLANTED, "79_copied": COPIED, "98_stale": STALE}.items():
        kinds = ["markdown" if s.startswith("# ") else "code" for s in sources]
        cells = [mk_cell(s, k, id=f"{name}{i}") for i, (s, k) in enumerate(zip(sources, kinds))]
        if name == "00_planted": cells[4].outputs = [WARNED]
        else: cells[2].outputs = [WRONG]
        write_nb(new_nb(cells), root / f"nbs/{name}.ipynb")
    source = Repo(root).settings["git_url"]
    for name, text in FILES.items(): (root / name).write_text(text.replace("SOURCE", source))
    (root / "quarto").chmod(0o755)
    for name, old, new in EDITS:
        text = (root / name).read_text()
        if old not in text: raise ValueError(f"{name} lacks {old}")
        (root / name).write_text(text.replace(old, new))


def selftest(repo: Repo):
    "Every check names the faults that are planted for it in a copy of the repository."
    checks = {c.__name__: c for c in [*structure.CHECKS, *builds.CHECKS, pages.site]}
    checks["error"] = partial(builds.notebook, name="00_planted.ipynb")
    checks["stale"] = partial(builds.notebook, name="98_stale.ipynb")
    checks["rendered"] = lambda repo: pages.rendered(repo.root, str(repo.root / "quarto"))
    with repo.copy() as copy:
        copy.run("git", "init", "-q")
        plant(copy.root)
        bad = Repo(copy.root)
        for name, check in checks.items():
            said = "\n".join(check(bad)) if name in EXPECTED else "nothing is planted for it"
            for words in EXPECTED.get(name, [name]):
                if words not in said: yield f"{name} did not say '{words}' but: {said[:500] or 'nothing'}"
    yield f"note: {sum(map(len, EXPECTED.values()))} faults planted"
