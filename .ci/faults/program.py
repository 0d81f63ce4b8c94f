"""The program as a user starts it: killed at random points, stopped by Ctrl-C, without room on the disk, twice at once.

A loss is a command that cannot be finished by the same words afterwards, or writes another byte than undisturbed.
"""
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from kit import count

from lympho.core import derive_seed, write_table
from lympho.synthetic import synth_cohort

PROGRAM = [sys.executable, "-c", "from lympho.start import main; main()"]
RUN = "late-morphometry-2-folds"
COMMANDS = {  # each command that writes, into a folder of its own, which holds its cache too
    "crossval": "crossval cohort --recipe late-morphometry --folds 2 --folder {}/runs",
    "train": "train cohort --recipe late-morphometry --folds 2 --folder {}/runs --force",
    "features": "features cohort --recipe late-morphometry",
    "report": f"report crossval/runs/{RUN} cohort --out {{}}/report.html",
    "predict": f"predict train/runs/{RUN} cohort --everyone --out {{}}/predictions.csv",
    "validate": f"validate train/runs/{RUN} other --out {{}}/validation",
    "explain": f"explain train/runs/{RUN} cohort --patient P1 --out {{}}/page.html",
    "synth": "synth {}/cohort --patients 8 --force"}


def start(words, home: Path, limit: int | None = None, cache: str = "cache") -> subprocess.Popen:
    "The program with these words, in a group of its own; `limit` is the largest size of a file."
    def limited():
        if limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.Popen([*PROGRAM, *map(str, words)], cwd=home, text=True, start_new_session=True,
                            preexec_fn=limited, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=os.environ | {"LYMPHO_CACHE": str(home/cache)})


def finished(p: subprocess.Popen, seconds: float = 300) -> tuple[int, str]:
    try: _, said = p.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(p.pid, signal.SIGKILL)
        return -1, "hang"
    return p.returncode, said


def one_line(status: int, said: str) -> str:
    "The outcome of a program that ended."
    if said == "hang": return "hang"
    if status in (0, -signal.SIGKILL, -signal.SIGTERM): return "held"
    if "internal error" in said or "Traceback" in said: return f"internal error: {said[-200:]}"
    n = len(said.strip().splitlines())
    return "named" if n == 1 else f"internal error: status {status}, {n} lines: {said[:200]}"


def undisturbed(p: subprocess.Popen) -> str:
    "The outcome of a program that nothing disturbs: it may not even refuse."
    status, said = finished(p)
    return f"loss: it fails undisturbed: {said[-200:]}" if status else "held"


def living(group: int) -> bool:
    "Is any process of the group alive, some seconds after its first was killed?"
    for _ in range(50):
        try: os.killpg(group, 0)
        except ProcessLookupError: return False
        time.sleep(.2)
    return True


def content(folder: Path) -> dict[str, bytes]:
    "What was written there, but for locks."
    files = {f.relative_to(folder).as_posix(): f for f in folder.rglob("*") if f.is_file() and f.suffix != ".lock"}
    return {name: f.read_bytes() for name, f in files.items()}


def interrupted(words, home, place, whole, sign, wait, cache="cache") -> str:
    "Send `sign` after some seconds; then the same command finishes what was begun, and nothing lives on or lies about."
    p = start(words, home, cache=cache)
    time.sleep(wait)
    if p.poll() is None: os.killpg(p.pid, sign) if sign == signal.SIGINT else p.send_signal(sign)
    outcome = one_line(*finished(p))
    if outcome not in ("held", "named"): return outcome
    if living(p.pid):
        os.killpg(p.pid, signal.SIGKILL)
        return "loss: a process lives on"
    status, said = finished(start(words, home, cache=cache))
    if status: return f"loss: the same command fails afterwards: {said[-200:]}"
    made = content(place)
    if other := sorted(name for name in {*made, *whole} if made.get(name) != whole.get(name)):
        return f"wrong answer: {', '.join(other)} other than undisturbed"
    left = [*place.parent.glob(".*-*"), *place.rglob(".*-*")]
    return f"loss: {left[0].name} lies about" if left else outcome


def killed(home: Path, r: random.Random):
    "Every command that writes, killed three times."
    for seed, name in enumerate(("cohort", "other")): synth_cohort(home/name, 40, seed, cells=(16, 17))
    for name, line in COMMANDS.items():
        begun = time.monotonic()
        yield f"{name}, undisturbed", undisturbed(start(line.format(name).split(), home, cache=f"{name}/cache"))
        seconds, whole = time.monotonic() - begun, content(home/name)
        for folder in (f"{name}{i}" for i in range(3)):
            words, wait = line.format(folder).split(), r.uniform(.1, seconds)
            outcome = interrupted(words, home, home/folder, whole, signal.SIGKILL, wait, f"{folder}/cache")
            yield f"{name}, killed", outcome


def starts(home: Path, r: random.Random):
    "Tries that start the program, each of them for seconds."
    synth_cohort(home/"cohort", 16, 1, cells=(16, 17))
    words = ["crossval", "cohort", "--recipe", "clinical-count", "--folds", "2"]
    begun = time.monotonic()
    yield "undisturbed", undisturbed(start([*words, "--folder", "whole"], home))
    seconds = time.monotonic() - begun
    name = next((home/"whole").iterdir()).name
    whole = content(home/"whole"/name)
    for i in range(10):
        limited = start([*words, "--folder", f"limit{i}"], home, 2**r.randrange(5, 14))
        yield "a limit on the size of files", one_line(*finished(limited))
    for _ in range(5):
        two = [start([*words, "--folder", "two", "--force"], home) for _ in range(2)]
        outcomes = [one_line(*finished(p)) for p in two]
        same = content(home/"two"/name) == whole
        yield "two writers", max(outcomes, key="named held".find) if same else f"wrong answer: {outcomes}"
    signs = {"killed": signal.SIGKILL, "terminated": signal.SIGTERM, "stopped by Ctrl-C": signal.SIGINT}
    for kind, sign in signs.items():
        for i in range(20):
            place, wait, jobs = home/f"{sign.name}{i}"/name, r.uniform(.1, seconds), ["--jobs", 1 + i % 2]
            yield kind, interrupted([*words, *jobs, "--folder", place.parent], home, place, whole, sign, wait)


def full_disk(home: Path, size: int) -> str:
    "A table is written onto a device that has no room."
    import pandas as pd

    from lympho.core import LymphoError
    try:
        full = home/"full"
        full.mkdir(exist_ok=True)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        write_table(full/"table.csv", pd.DataFrame({"x": range(size)}))
    except LymphoError as e: return "named" if "make room" in str(e) and not any(full.iterdir()) else f"loss: {e}"
    finally: resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,)*2)
    return "wrong answer: written"


def tries(scale):
    r = random.Random(derive_seed(0, "program"))
    with tempfile.TemporaryDirectory() as d:
        for _ in range(count(100, scale)): yield "a full disk", full_disk(Path(d), 2**r.randrange(12, 16))
        if scale < 1: return
        for part in (starts, killed):
            home = Path(d)/part.__name__
            home.mkdir()
            yield from part(home, r)
