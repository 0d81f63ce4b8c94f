"The checks are checked: in a small repository that passes them all, each fault that is planted must be named."
import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import builds
import pages
import structure
from repo import Repo

KEPT = ["settings.ini", "setup.py", "_quarto.yml", "nbs/styles.css", "ruff.toml", "LICENSE", "constraints.txt", ".gitignore", "Makefile", ".ci"]
PLACE = "/" + "home/ada/data"  # spelt in two parts, or this file would hold a machine path itself
TWICE = '''#| export
def twice(
    x:float, # a number
) -> float: # two of it
    "Double `x`."
    return math.fsum([x, x])'''
ALPHA = ["# Alpha\n\n> Doubles numbers.", "#| default_exp alpha", "#| export\nimport math", TWICE, ("twice(2)", "4.0"),
         "## More\n\nA formula, $x^2$ and $\\sqrt{18}$, and [more](#more). Next: [beta](10_beta.ipynb#what-for)."]
BETA = ["# Beta\n\n> Is four twice two?", "from lympho.alpha import twice", ("twice(2)", "4.0"), "## What for\n\n`twice`; ![red](images/red.png)"]
INDEX = ["# lympho\n\n> A small one.", "See [alpha](00_alpha.ipynb)."]
SIDEBAR = "website:\n  sidebar:\n    contents: [index.ipynb, {section: All, contents: [00_alpha.ipynb, 10_beta.ipynb]}]\n"


def cell(source, output=None, i=0) -> dict:
    "A cell; one that starts like prose is markdown."
    if source.startswith(("# ", "## ", "See ", "> ")): return dict(cell_type="markdown", id=f"c{i}", metadata={}, source=lines(source))
    data = dict(data={"text/plain": [output]}, execution_count=None, metadata={}, output_type="execute_result")
    return dict(cell_type="code", execution_count=None, id=f"c{i}", metadata={}, outputs=[data] if output else [], source=lines(source))


def lines(text) -> list[str]: return text.splitlines(keepends=True)


def save(path: Path, cells: list):
    kernel = dict(display_name="python3", language="python", name="python3")
    nb = dict(cells=cells, metadata=dict(kernelspec=kernel), nbformat=4, nbformat_minor=5)
    path.write_text(json.dumps(nb, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def small(repo: Repo, root: Path):
    "A repository of three notebooks with the settings of this one."
    (root / "nbs/images").mkdir(parents=True)
    for name in KEPT: (shutil.copytree if (repo.root / name).is_dir() else shutil.copy)(repo.root / name, root / name)
    (root / "nbs/_quarto.yml").symlink_to("../_quarto.yml")
    (root / "nbs/sidebar.yml").write_text(SIDEBAR)
    (root / "nbs/images/red.png").write_bytes(b"\x89PNG")
    for name, cells in {"index": INDEX, "00_alpha": ALPHA, "10_beta": BETA}.items():
        save(root / f"nbs/{name}.ipynb", [cell(*(c if isinstance(c, tuple) else (c, None)), i) for i, c in enumerate(cells)])
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    builds.tool(repo, "nbdev_export", cwd=root)
    builds.tool(repo, "python", ".ci/readme.py", cwd=root)


# Faults: each changes the small repository at `root`.
def edit(name, old, new):
    "Replace `old` in a file by `new`; in a notebook, in the first cell that has it."
    def fault(root):
        path = root / name
        if path.suffix != ".ipynb": return path.write_text(path.read_text().replace(old, new, 1))
        cells = json.loads(path.read_text())["cells"]
        hit = next(c for c in cells if old in "".join(c["source"]))
        hit["source"] = lines("".join(hit["source"]).replace(old, new, 1))
        save(path, cells)
    return fault


def add(source, notebook="00_alpha", **output):
    "Add a cell to a notebook, with a stored output of these fields."
    def fault(root):
        path = root / f"nbs/{notebook}.ipynb"
        new = cell(source, i=99)
        if output: new["outputs"] = [output]
        save(path, json.loads(path.read_text())["cells"] + [new])
    return fault


def put(name, text): return lambda root: (root / name).write_text(text)
def remove(name): return lambda root: (root / name).unlink()
def move(old, new): return lambda root: (root / old).rename(root / new)


ERROR = dict(output_type="error", ename="E", evalue="", traceback=["boom"])
LONG = "#| export\ndef long():\n" + "    twice(1)\n" * 50
MODULE = "lympho/alpha.py"
FAULTS = [  # a check, and what it must say of each fault; faults of one entry are planted together
    ("drift", {"alpha.py differs": edit(MODULE, "Double", "Halve"), "gamma.py is exported by no": put("lympho/gamma.py", "x = 1\n"),
               "10_beta.ipynb is not clean": add("twice(3)", "10_beta", output_type="execute_result", execution_count=7, metadata={}, data={})}),
    ("drift", {"alpha.py differs": edit("nbs/00_alpha.ipynb", "fsum", "prod"), "_modidx.py is missing": remove("lympho/_modidx.py")}),
    ("ruff", {"F401": edit(MODULE, "import math", "import math\nimport os"), "F821": edit(MODULE, "math.fsum", "maths.fsum"),
              "F403": edit("nbs/10_beta.ipynb", "import twice", "import *")}),
    ("wheel", {"alpha.py is not in": edit("setup.py", "find_packages(include=", "find_packages(exclude="), "LICENSE is not in": remove("LICENSE"),
               "lacks the command": edit("setup.py", '"console_scripts"', '"scripts"')}),
    ("stems", {"alpha is taken": move("nbs/10_beta.ipynb", "nbs/10_alpha.ipynb")}),
    ("stems", {"10_beta.ipynb is not tested": move("nbs/10_beta.ipynb", "10_beta.ipynb")}),
    ("stems", {"0 is taken": move("nbs/10_beta.ipynb", "nbs/00_beta.ipynb")}),
    ("stems", {"lists 10_beta.ipynb 0 times": edit("nbs/sidebar.yml", ", 10_beta.ipynb", ""),
               "lists 11_gamma.ipynb, which is not there": edit("nbs/sidebar.yml", "[index", "[11_gamma.ipynb, index"),
               "default_exp is delta": edit("nbs/00_alpha.ipynb", "default_exp alpha", "default_exp delta"),
               "exports without": add("#| export\ny = 1", "10_beta")}),
    ("titles", {"00_alpha.ipynb": edit("nbs/00_alpha.ipynb", "> Doubles", "Doubles")}),
    ("imports", {"alpha has 20": move("nbs/00_alpha.ipynb", "nbs/20_alpha.ipynb"), "name what is imported": add("from math import *", "10_beta"),
                 "no notebook exports gamma": add("from lympho import gamma", "10_beta")}),
    ("import_cells", {"cell `import os`": add("import os\nos.getcwd()")}),
    ("directives", {"#| exprot": add("#| exprot\ny = 1"), "#| eval": add("#| eval: false\ny = 1")}),
    ("lengths", {"has 52 lines": add(LONG), "MB": add("# " + "x" * 2**20, "10_beta")}),
    ("outputs", {"stores a traceback": add("boom()", **ERROR), "has no stored output": add("(1, 2)"),
                 "stores standard error": add("f()", output_type="stream", name="stderr", text=["UserWarning"])}),
    ("documented", {"twice lacks a docstring": edit(MODULE, '    "Double `x`."\n', ""), "argument x": edit(MODULE, " # a number", ""),
                    "what it returns": edit(MODULE, " # two of it", "")}),
    ("checked", {"twice has no check": edit("nbs/00_alpha.ipynb", "twice(2)", "2")}),
    ("data_files", {"model.npy looks like data": put("nbs/model.npy", ""), "put it in nbs/images": put("figure.png", ""),
                    "quarantine.csv: a table": put("nbs/quarantine.csv", "patient")}),
    ("machine_paths", {"notes.md": put("notes.md", f"It lies in {PLACE}."),
                       "00_alpha.ipynb": add("f()", output_type="stream", name="stdout", text=[PLACE])}),
    ("address", {"notes.md: spells": lambda root: put("notes.md", Repo(root).settings["git_url"])(root)}),
    ("constraints", {"is not a pin": edit("constraints.txt", "numpy==", "numpy>=")}),
    ("constraints", {"for numpy>=99": edit("settings.ini", "numpy>=1.26", "numpy>=99")}),
    ("requirements", {"imports yaml": edit(MODULE, "import math", "import math\nimport yaml")}),
    ("conflicts", {"notes.md": put("notes.md", "<" * 7 + " HEAD\n"), "10_beta": add("`" + ">" * 7 + " main`", "10_beta")}),
    ("readme", {"make readme": edit("nbs/index.ipynb", "See", "See also")}),
    ("nbdev_yml", {"out of date": edit("settings.ini", "description = ", "description = Not ")}),
    ("site", {"images/blue.png leads to nothing": edit("nbs/10_beta.ipynb", "red.png", "blue.png"),
              "11_gamma.ipynb leads to nothing": edit("nbs/index.ipynb", "00_alpha.ipynb", "11_gamma.ipynb"),
              "#why leads to no heading": edit("nbs/00_alpha.ipynb", "#what-for", "#why"),
              "@fig-roc refers to nothing": edit("nbs/00_alpha.ipynb", "Next:", "As @fig-roc shows."),
              "Could not convert TeX": edit("nbs/00_alpha.ipynb", "$x^2$", "$x^{2$"),
              "unclosed": add("## Note\n\n::: {.callout-note}\n"),
              "raw link in a signature": edit("nbs/00_alpha.ipynb", "# a number", "# as in `twice`")}),
    ("site", {"Could not convert TeX": edit("_quarto.yml", "variant: +tex_math_dollars", "toc: true")}),
    ("site", {"could not process 00_alpha.ipynb": edit("nbs/00_alpha.ipynb", "import math", "import maths")}),
    ("commands", {"Got unexpected extra": edit("Makefile", "bench --cohort '", "bench '"),
                  "No such option: --recipes": put("notes.md", "```sh\nlympho crossval folder --recipes x\n```\n")}),
    ("notebook", {"AssertionError": add("assert twice(2) == 5")}),
]
CHECKS = {c.__name__: c for c in [*structure.CHECKS, *builds.CHECKS, *pages.CHECKS]}
CHECKS["notebook"] = lambda repo: builds.notebook(repo, "00_alpha.ipynb", "", os.devnull)


def planted(repo: Repo, name: str, faults: dict):
    "Plant `faults` in a copy of `repo`; give what the check `name` should have said and did not."
    with tempfile.TemporaryDirectory(prefix="lympho-") as tmp:
        root = shutil.copytree(repo.root, Path(tmp) / "copy", symlinks=True)
        for fault in faults.values(): fault(root)
        said = "\n".join(CHECKS[name](Repo(root)))
    return [f"{name} did not say '{words}' but: {said or 'nothing'}" for words in faults if words not in said]


def selftest(repo: Repo):
    "Every check passes on a small clean repository and names each fault that is planted there."
    with tempfile.TemporaryDirectory(prefix="lympho-") as tmp, ThreadPoolExecutor(2) as pool:
        small(repo, Path(tmp))
        clean = Repo(Path(tmp))
        for name, check in CHECKS.items(): yield from (f"{name} fails without a fault: {p}" for p in check(clean))
        for missed in pool.map(lambda f: planted(clean, *f), FAULTS): yield from missed
        yield from the_rest(clean)
    yield f"note: {sum(len(faults) for _, faults in FAULTS)} faults planted"


def the_rest(clean: Repo):
    "Quarto's warnings and litter are found; a failed check is counted in the last line and gives a non-zero exit."
    quarto = clean.root / "quarto"
    quarto.write_text("#!/bin/sh\necho 'WARN: Unable to resolve link target: x.ipynb'")
    quarto.chmod(0o755)
    if not list(pages.rendered(clean.root, str(quarto))): yield "a warning of Quarto was not found"
    if not list(builds.litter(clean, "")): yield "a file left behind was not found"
    remove("nbs/index.ipynb")(clean.root)
    p = subprocess.run([sys.executable, ".ci/checks.py", "stems", "titles"], cwd=clean.root, capture_output=True, text=True)
    if not p.returncode or p.stdout.splitlines()[-1] != "1 passed, 1 failed": yield f"the closing line is wrong:\n{p.stdout}{p.stderr}"
