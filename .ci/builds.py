"Checks that run something: nbdev on a copy, ruff, the build of a wheel, the notebooks themselves."
import filecmp
import os
import re
import shlex
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from importlib import import_module
from pathlib import Path

import typer
from repo import Repo

BIN = Path(sys.executable).parent


def tool(repo: Repo, *command, cwd=None, **env) -> tuple[int, str]:
    "Run a program of this environment in `repo`; give its exit status and what it printed."
    p = subprocess.run([BIN / command[0], *command[1:]], cwd=cwd or repo.root, text=True, env={**os.environ, **env},
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return p.returncode, p.stdout.strip()


def drift(repo: Repo):
    "Modules are what the notebooks export, and notebooks are clean: clean and export a copy, compare it byte for byte."
    with repo.copy() as copy:
        for module in (copy / repo.lib).glob("*.py"): module.unlink()
        for command in ("nbdev_clean", "nbdev_export"):
            status, said = tool(repo, command, cwd=copy)
            if status: yield f"{command} failed:\n{said}"
        names = [f for f in repo.files if f.endswith(".ipynb") or Path(f).parent == Path(repo.lib) and f.endswith(".py")]
        made = [str(p.relative_to(copy)) for p in (copy / repo.lib).glob("*.py")]
        for name in sorted({*names, *made}):
            ours, fresh = repo.root / name, copy / name
            if not fresh.exists(): yield f"{name} is exported by no notebook; write it as one, or remove it"
            elif not ours.exists(): yield f"{name} is missing; run nbdev_export"
            elif not filecmp.cmp(ours, fresh, shallow=False):
                yield f"{name} is not clean; run nbdev_clean" if name.endswith(".ipynb") else \
                      f"{name} differs from its notebook; edit the notebook and run nbdev_export"


def ruff(repo: Repo):
    "ruff finds no star import, no unused or undefined name, no known trap."
    status, said = tool(repo, "ruff", "check", "--quiet", "--no-cache", "--output-format", "concise", repo.lib, "nbs", ".ci", "setup.py")
    if status: yield from said.splitlines()


def wheel(repo: Repo):
    "The wheel holds every module, the licence and the command, and nothing else."
    with repo.copy() as copy:
        status, said = tool(repo, "python", "-m", "build", "--wheel", "--no-isolation", "--outdir", "out", cwd=copy)
        if status:
            yield f"python -m build failed:\n{said[-2000:]}"
            return
        with zipfile.ZipFile(next((copy / "out").glob("*.whl"))) as z:
            held = {n for n in z.namelist() if not n.endswith("/")}
            info = next(n.split("/")[0] for n in held if ".dist-info/" in n)
            entries = ConfigParser()
            if f"{info}/entry_points.txt" in held: entries.read_string(z.read(f"{info}/entry_points.txt").decode())
    wanted = {f"{repo.lib}/{p.name}" for p in (repo.root / repo.lib).glob("*.py")} | {f"{info}/licenses/LICENSE"}
    yield from (f"{n} is not in the wheel; see find_packages in setup.py" for n in sorted(wanted - held))
    yield from (f"{n} does not belong in the wheel" for n in sorted(held - wanted) if not n.startswith(f"{info}/"))
    for name, target in (script.split("=") for script in repo.settings["console_scripts"].split()):
        if entries.get("console_scripts", name, fallback="") != target: yield f"the wheel lacks the command {name}"


def commands(repo: Repo):
    "The program takes every command line of `lympho` that the Makefile or a page holds."
    entry = repo.settings["console_scripts"].split("=")[1].partition(":")[0]
    program = typer.main.get_command(import_module(entry).app)
    said = subprocess.run(["make", "--no-print-directory", "-n", "run", "gpu", "COHORT=folder"], cwd=repo.root, text=True, capture_output=True)
    if said.returncode: yield f"Makefile: make -n run gpu fails: {said.stderr}"
    lines = [("Makefile", line) for line in re.findall(r"bin/lympho ([^;|\n]+)", said.stdout)]
    for name in (f for f in repo.files if "/" not in f and f.endswith(".md")):
        lines += [(name, line) for line in re.findall(r"^lympho (.+)", (repo.root / name).read_text(encoding="utf-8"), re.M)]
    for name, line in lines:
        words = shlex.split(line, comments=True)
        try:
            with program.make_context("lympho", list(words)) as context:
                command, options = program.resolve_command(context, words)[1:]
                command.make_context(command.name, options, parent=context)
        except (typer.Exit, typer.Abort): pass  # help was asked for
        except Exception as e: yield f"{name}: `lympho {line.strip()}`: {e}"


def notebook(repo: Repo, name: str, flags: str, cache: str):
    "nbdev_test runs the notebook from top to bottom."
    env = {"LYMPHO_CACHE": cache, "LYMPHO_DATA": os.environ.get("LYMPHO_DATA", "") if "data" in flags.split() else ""}
    status, said = tool(repo, "nbdev_test", "--path", f"nbs/{name}", "--flags", flags, **env)
    if status or "Success." not in said: yield said or "nbdev_test did not run it"


def litter(repo: Repo, before: str):
    "A run of the checks leaves the checkout as it was; in CI that means clean."
    after = repo.git("status", "--porcelain")
    if after != before: yield f"the run changed the checkout:\n{after}"
    elif os.environ.get("CI") and after: yield f"the checkout is not clean:\n{after}"


CHECKS = [drift, ruff, wheel, commands]
