"Checks that run something: nbdev on a copy, ruff, the parser of the command line, the notebooks themselves."
import filecmp
import gc
import os
import re
import runpy
import shlex
import sys
import tempfile
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from zipfile import ZipFile

import refresh
import typer
from joblib.externals.loky import get_reusable_executor
from repo import Repo

# Notebooks start as forks of a process that has imported what takes seconds and does not care where it is imported.
WARM = get_context("forkserver")
WARM.set_forkserver_preload("torch torchvision pandas scipy.stats sklearn.ensemble skops.io matplotlib.pyplot "
                            "refresh".split())


def drift(repo: Repo):
    "Notebooks are clean, and modules, README.md and nbs/nbdev.yml are what they make: all made anew in a copy."
    with repo.copy() as copy:
        for module in (copy.root / repo.lib).glob("*.py"): module.unlink()
        for command in ("nbdev_clean", "nbdev_export", "python .ci/pages.py"):
            status, said = copy.run(*command.split())
            if status: yield f"{command} failed:\n{said}"
        names = {f for f in repo.files if re.search(rf"\.ipynb$|^{repo.lib}/.*\.py$", f)}
        names |= {f"{repo.lib}/{p.name}" for p in (copy.root / repo.lib).glob("*.py")}
        for name in sorted(names | {"README.md", "nbs/nbdev.yml"}):
            ours, fresh = repo.root / name, copy.root / name
            if not fresh.exists(): yield f"{name} is exported by no notebook; write it as one, or remove it"
            elif not ours.exists() or not filecmp.cmp(ours, fresh, shallow=False):
                yield f"{name} is out of date; make {'export' if name.endswith(('.py', '.ipynb')) else 'readme'}"


def ruff(repo: Repo):
    "ruff finds nothing; ruff.toml says what it looks for."
    status, said = repo.run("ruff", "check", "--quiet", "--no-cache", "--output-format", "concise", ".")
    if status: yield from said.splitlines()


def commands(repo: Repo):
    "The program takes every command line of `lympho` that the Makefile, .ci/gpu.py or a page holds."
    program = typer.main.get_command(import_module(f"{repo.lib}.cli").app)
    status, said = repo.run("make", "--no-print-directory", "-n", "run", "gpu", "COHORT=folder")
    if status: yield f"make -n run gpu fails: {said}"
    lines = [("Makefile", line) for line in re.findall(r"bin/lympho ([^;|\n]+)", said)]
    plan = runpy.run_path(str(repo.root / ".ci/gpu.py"))["parts"]("folder").values()
    lines += [(".ci/gpu.py", shlex.join(words)) for program, *words in plan if program == "lympho"]
    lines += [(name, line) for name in repo.pages for line in re.findall(r"(?m)^lympho (.+)", repo.read(name))]
    for name, line in lines:
        words = shlex.split(line, comments=True)
        try:
            with program.make_context("lympho", list(words)) as context:
                _, command, options = program.resolve_command(context, words)
                command.make_context(command.name, options, parent=context)
        except Exception as e: yield f"{name}: `lympho {line.strip()}`: {e}"


def faults(repo: Repo):
    "The short form of `make faults` meets no internal error, hang, unnamed loss or wrong answer."
    status, said = repo.run(sys.executable, ".ci/faults/run.py", "--short")
    if status: yield said or f"it ended with {status}"
    else: yield f"note: {' '.join(re.findall(r'(?m)^all +.*', said))}"


def wheel(repo: Repo):
    "The archive of the sources builds; a wheel made from it holds every module, and runs without the repository."
    with repo.copy() as copy:
        status, said = copy.run(sys.executable, "-m", "build", "--no-isolation", "--outdir", "dist", ".")
        if status: return (yield f"python -m build fails:\n{said[-1000:]}")
        with ZipFile(next((copy.root / "dist").glob("*.whl"))) as z:
            names = {*z.namelist()}
            z.extractall(copy.root / "installed")
        for name in sorted(f for f in repo.files if re.match(rf"{repo.lib}/.*\.py$", f)):
            if name not in names: yield f"the wheel lacks {name}"
        code = ("import sys; sys.path.insert(0, sys.argv[1]); from lympho import cli; "
                "assert cli.__file__.startswith(sys.argv[1]); cli.main(sys.argv[2:])")
        words = ["-X", "warn_default_encoding", "-c", code, str(copy.root / "installed")]
        status, said = copy.run(sys.executable, *words, "synth", "new", "--patients", "2")
        if status: yield f"the wheel does not run:\n{said[-1000:]}"
        for line in re.findall(rf"(?m)^.*{repo.lib}/\w+\.py:\d+: EncodingWarning", said):
            yield f"{line}: name the encoding, which differs between systems"


def notebook(repo: Repo, name: str, flags: str = "", cache: str = os.devnull):
    "The notebook runs from top to bottom, and its stored outputs are those of this run."
    data = os.environ.get("LYMPHO_DATA", "") if "data" in flags.split() else ""
    env = {"PYTHONPATH": str(repo.root), "LYMPHO_CACHE": cache, "LYMPHO_DATA": data, "LOKY_MAX_CPU_COUNT": "1"}
    status, said = forked(repo, refresh.main, ["--compare", "--flags", flags, f"nbs/{name}"], env=env)
    yield from re.findall("(?m)^note: .*", said)
    if status: yield re.sub("(?m)^note: .*\n?", "", said) or f"it ended with {status}"


def gpu(repo: Repo):
    "An end-to-end recipe runs at reduced size as `make gpu` runs it, on the CPU."
    with tempfile.TemporaryDirectory() as cache:
        status, said = forked(repo, rehearse_gpu, env={"PYTHONPATH": str(repo.root), "LYMPHO_CACHE": cache})
    if status: yield said or f"it ended with {status}"


def rehearse_gpu(): runpy.run_path(".ci/gpu.py")["rehearse"]()


def forked(repo: Repo, f, *args, env: dict) -> tuple[int, str]:
    "Exit status and output of `f` in a forked process."
    with tempfile.NamedTemporaryFile() as log:
        process = WARM.Process(target=logged, args=(repo.root, f, args, env, log.name))
        process.start()
        process.join()
        return process.exitcode, Path(log.name).read_text().strip()


def logged(root: Path, f, args: tuple, env: dict, log: str):
    "Call `f` in the checkout, with its output in the file `log`."
    gc.freeze()  # what was imported before the fork is no garbage
    os.chdir(root)
    os.environ |= env
    for stream in (1, 2): os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND), stream)
    try: f(*args)
    finally:
        get_reusable_executor().shutdown()  # a fork waits for joblib's workers, which would idle for minutes
        gc.freeze()  # nor is it worth while to look for any at the end


CHECKS = [drift, ruff, commands, faults, wheel, gpu]
