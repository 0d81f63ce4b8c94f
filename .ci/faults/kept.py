"""What is kept and read again: models, runs, learners, stores, recipes, layouts, cards.

A bit, a piece or a file that is not what was written is named, or changes nothing: else it is a wrong answer. Values of
JSON and TOML are changed as they stand, and with digests that fit: then they may be what somebody wanted, but no type
of value ends in an internal error. A file that holds code does not run it, a page of hostile identifiers runs none of
them, and nothing needs a network.
"""
import json
import os
import pickle
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser
from itertools import permutations
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import h5py
import numpy as np
import skops.io
import torch
from kit import attempt, count
from sklearn.preprocessing import FunctionTransformer

from lympho import images
from lympho.card import FIELDS, read_entries
from lympho.cohort import Cohort
from lympho.core import digest, write_json, write_text
from lympho.crossval import Run, crossval
from lympho.dataloaders import mil_dataloaders
from lympho.encoders import read_weights
from lympho.features import read_features
from lympho.fitting import FittedModel, fit, load_model
from lympho.images import Store
from lympho.layouts import read_layout
from lympho.learner import load_learner, mil_learner
from lympho.recipes import RECIPES, read_recipe
from lympho.report import patient_page
from lympho.synthetic import synth_cohort
from lympho.validation import validate

DAMAGES, EDITS, SEALED = 1500, 1000, 1000  # tries of a whole run
LIGHT = dict(n_repeats=1, n_folds=2, n_inner=2)
RECIPE = replace(RECIPES["mil-mean-late"], encoder="random", params=dict(epochs=2, device="cpu"), **LIGHT)
LAYOUT = """table = "list.csv"
folders = ["data/<label>/<patient>"]
percent = ["lymphocytes"]
reference_year = 2020
micrometres = 0.1
confirmed = true
columns = {"patient" = "ID", "count" = ["a", "b"]}
labels = {"all" = 1, "hem" = 0}
"""


class Folder(NamedTuple):
    "A folder of what is kept: how it is read, and how its digests are made to fit."
    path: Path
    read: Callable  # the folder -> something that prints as what was kept
    seal: Callable = lambda folder: None


class Place(NamedTuple):
    "One of everything that the program keeps."
    root: Path
    cohort: Cohort
    model: FittedModel
    predictions: str
    folders: list[Folder]


def seal_file(file: Path):
    "Make the digest in a JSON file fit; a file that is none stays as it is."
    obj = json.loads(file.read_text("utf-8"))
    if not isinstance(obj, dict): return
    write_json(file, obj | {"digest": digest({k: v for k, v in obj.items() if k != "digest"})})


def seal_model(folder: Path):
    "Make all digests in the folder of a model fit."
    seal_file(folder / "run" / "metrics.json")
    obj, files = json.loads((folder / "model.json").read_text("utf-8")), folder.rglob("*")
    found = {f.relative_to(folder).as_posix(): digest(f.read_bytes()) for f in files if f.is_file()}
    if isinstance(obj, dict): obj["files"] = {k: v for k, v in found.items() if k != "model.json"}
    write_json(folder / "model.json", obj)
    seal_file(folder / "model.json")


def shown_model(folder: Path) -> str:
    model = load_model(folder)
    return str((model, model.recipe, model.info, model.rule, model.domain and model.domain.to_dict(),
                digest(model.run.predictions), model.run.info, model.run.metrics.to_csv()))


def shown_run(cohort: Cohort, folder: Path) -> str:
    run = Run.load(folder)
    inner = replace(run, cohort=cohort).inner_predictions(folder=folder)
    return str((run, run.recipe, run.info, run.protocol, run.metrics.to_csv(), digest(run.predictions), digest(inner)))


def shown_store(folder: Path) -> str:
    images._changed_block.cache_clear()  # one tick of the clock of the disk is longer than a try
    store = Store.open(folder)
    return str((store.settings, store.cells.to_csv(), store.offsets, digest(store.values.tobytes())))


def shown_learner(folder: Path) -> str:
    learn = load_learner(folder, "cpu")
    state = {k: v.sum().item() for k, v in learn.model.state_dict().items()}
    return str((learn.arguments, learn.dls.settings, learn.dls.source, state))


def shown_texts(folder: Path) -> str:
    recipe = read_recipe(folder / "own.json")
    recipe.check()
    return str((recipe, read_layout(folder / "lympho.toml"), read_entries(folder / "card.toml")))


def make(root: Path) -> Place:
    "Train one small model, and keep one of everything."
    synth_cohort(root / "cohort", 36, seed=1, cells=(11, 12), unlabelled=.05)
    cohort = Cohort.from_folder(root / "cohort")
    model = fit(cohort, RECIPE)
    model.save(root / "model")
    run = crossval(cohort, replace(RECIPES["clinical-logistic"], **LIGHT), root / "run")
    run.inner_predictions(folder=root / "run")
    mil_learner(mil_dataloaders(cohort, encoder="random", device="cpu"), "mean", path=root).export("learner")
    write_text(root / "texts" / "own.json", RECIPES["late-linear-svm"].to_json())
    write_text(root / "texts" / "lympho.toml", LAYOUT)
    write_text(root / "texts" / "card.toml", "".join(f'{f} = "stated"\n' for f in FIELDS))
    folders = [Folder(root / "model", shown_model, seal_model), Folder(root / "learner", shown_learner, seal_folder),
               Folder(root / "run", partial(shown_run, cohort), seal_folder), Folder(root / "texts", shown_texts)]
    folders += [Folder(f.parent, shown_store, seal_folder) for f in (root / "cache").rglob("store.json")]
    return Place(root, cohort, model, model.predict(cohort).to_csv(), folders)


def seal_folder(folder: Path):
    for name in ("metrics.json", "learner.json", "store.json"):
        if (folder / name).is_file(): seal_file(folder / name)


def files_of(folder: Folder) -> list[Path]:
    return sorted(f for f in folder.path.rglob("*") if f.is_file() and not f.name.startswith(".") and f.stat().st_size)


def reading(folder: Folder, before: str) -> str:
    "The outcome of reading a folder that was changed: as before, or a wrong answer."
    now = folder.read(folder.path)
    return "held" if now == before else "wrong answer: something was read that was not written"


def only_read(folder: Folder):
    "Read a folder whose content may be meant."
    folder.read(folder.path)


def changed(file: Path, data: bytes, call: Callable) -> str:
    "The outcome of `call` while a file has another content."
    whole = file.read_bytes()
    file.write_bytes(data)
    try: return attempt(call)
    finally: file.write_bytes(whole)


def damaged(data: bytes, r: random.Random) -> bytes:
    "The content of a file with a bit, a byte or a piece that is not what was written."
    b, n, kind = bytearray(data), len(data), r.choice("bit bit bit byte zeros cut swap repeat delete lines".split())
    at, other, size = r.randrange(n), r.randrange(n), r.choice([1, 4, 64, 512])
    if kind == "bit": b[at] ^= 1 << r.randrange(8)
    elif kind == "byte": b[at] = r.randrange(256)
    elif kind == "zeros": b[at:at + size] = bytes(len(b[at:at + size]))
    elif kind == "cut": del b[at:]
    elif kind == "swap": b[at], b[other] = b[other], b[at]
    elif kind == "repeat": b[at:at] = b[at:at + size]
    elif kind == "delete": del b[at:at + size]
    else:
        lines = data.splitlines(keepends=True)
        i, j = r.randrange(len(lines)), r.randrange(len(lines))
        lines[i], lines[j] = lines[j], lines[i]
        return b"".join(lines)
    return bytes(b)


def damages(place: Place, n: int) -> Iterator[tuple[str, str]]:
    "Damage to every kind of file; the texts that a person writes hold no digest, so that any of theirs may be meant."
    r, before = random.Random(1), {f.path: f.read(f.path) for f in place.folders}
    sealed = [folder for folder in place.folders if folder.read is not shown_texts]
    every = [(folder, file) for folder in sealed for file in files_of(folder) if file.suffix != ".blocks"]  # see healed
    for i in range(n):
        folder, file = every[i % len(every)]
        name = re.sub("-[0-9a-f]{16}", "", file.name)
        call = partial(reading, folder, before[folder.path])
        yield f"damage to {name}", changed(file, damaged(file.read_bytes(), r), call)


def exchanged(place: Place) -> Iterator[tuple[str, str]]:
    "Files of one folder in the place of another's of the same name or kind."
    for folder, other in permutations(place.folders, 2):
        call, names = partial(reading, folder, folder.read(folder.path)), {f.name: f for f in files_of(other)}
        values = next((f for name, f in names.items() if name.endswith(".bin")), None)
        for file in files_of(folder):
            mate = values if file.suffix == ".bin" else names.get(file.name)
            if not mate or mate.read_bytes() == file.read_bytes(): continue
            yield "files exchanged", changed(file, mate.read_bytes(), call)


def healed(place: Place, n: int) -> Iterator[tuple[str, str]]:
    "A damaged store is made again when a model needs it, and the predictions are as before."
    r = random.Random(2)
    parts = [f for folder in place.folders if folder.read is shown_store for f in files_of(folder)]
    for i in range(n):
        file = parts[i % len(parts)]
        file.write_bytes(damaged(file.read_bytes(), r))
        images._changed_block.cache_clear()
        yield "predictions from a damaged store", attempt(lambda: predicted(place))


def predicted(place: Place) -> str:
    now = place.model.predict(place.cohort).to_csv()
    return "held" if now == place.predictions else "wrong answer: other predictions"


VALUES = [None, True, False, 0, -1, 1.5, 1e308, 10**30, "", "x", "\ud800", "NaN", "a\nb", [], {}, [None], ["x"], [[1]],
          {"a": 1}]


def paths_of(obj, path=()) -> Iterator[tuple]:
    "Where something stands in an object of JSON; of a list the first items."
    if path: yield path
    items = obj.items() if isinstance(obj, dict) else enumerate(obj[:3]) if isinstance(obj, list) else ()
    for key, value in items: yield from paths_of(value, (*path, key))


def edited(obj, r: random.Random):
    "A copy of an object of JSON with one change: another value, a field that is gone, new, or has another name."
    obj = json.loads(json.dumps(obj))
    *above, last = r.choice(list(paths_of(obj)))
    part = obj
    for key in above: part = part[key]
    kind = r.choice(["value"] * 8 + ["gone", "new", "renamed", "doubled"])
    if kind == "value": part[last] = r.choice(VALUES)
    elif kind == "gone": del part[last]
    elif isinstance(part, list): part.append(part[0]) if kind == "doubled" else part.reverse()
    elif kind == "new": part["another"] = r.choice(VALUES)
    elif kind == "renamed": part[f"{last}_"] = part.pop(last)
    else: part[last] = [part[last]] * 2
    return obj if r.random() < .98 else r.choice(VALUES)


def toml(obj, depth=0) -> str:
    "An object as TOML, as far as that can hold it."
    if isinstance(obj, dict):
        pairs = [f"{json.dumps(str(k))} = {toml(v, depth + 1)}" for k, v in obj.items()]
        return "{" + ", ".join(pairs) + "}" if depth else "\n".join(pairs)
    if isinstance(obj, list): return f"[{', '.join(toml(x, depth + 1) for x in obj)}]"
    return '"none"' if obj is None else json.dumps(obj)


def read_any(file: Path):
    "What a JSON or TOML file holds."
    if file.suffix == ".json": return json.loads(file.read_text("utf-8"))
    from lympho.layouts import read_toml
    return read_toml(file)


def edits(place: Place, n: int, sealed: bool) -> Iterator[tuple[str, str]]:
    "Edits of every JSON and TOML file, with the digests as they are or made to fit."
    r = random.Random(3 + sealed)
    every = [(folder, f) for folder in place.folders for f in files_of(folder) if f.suffix in (".json", ".toml")]
    before = {f.path: f.read(f.path) for f in place.folders}
    for i in range(n):
        folder, file = every[i % len(every)]
        whole = {f: f.read_bytes() for f in files_of(folder) if f.suffix in (".json", ".toml")}
        new = edited(read_any(file), r)
        text = json.dumps(new, indent=1) if file.suffix == ".json" else toml(new)
        file.write_text(text, "utf-8", "surrogatepass")
        try:
            if sealed and file.suffix == ".json": folder.seal(folder.path)
            call = partial(reading, folder, before[folder.path])
            if sealed or folder.read is shown_texts: call = partial(only_read, folder)
            yield f"{'sealed' * sealed or 'plain'} edit of {file.name}", attempt(call)
        finally:
            for f, data in whole.items(): f.write_bytes(data)


class Runs:
    "Whoever unpickles it writes a file."
    def __init__(self, file: Path): self.file = file
    def __reduce__(self): return Path.touch, (self.file,)


def refused(file: Path, mark: Path, call: Callable) -> str:
    "The outcome of reading a file that holds code: named, unless the code ran or was built."
    outcome = attempt(call)
    if mark.exists(): outcome = "wrong answer: code was run"
    mark.unlink(missing_ok=True)
    return "wrong answer: it was read" if outcome == "held" else outcome


def attacks(place: Place) -> Iterator[tuple[str, str]]:
    "Code in a model folder with digests that fit, in weights and in features."
    mark, model = place.root / "mark", place.root / "model"
    code = f"open({str(mark)!r}, 'w')"
    kinds = [FunctionTransformer(np.testing.runstring, kw_args={"dict": {}}), FunctionTransformer(os.system),
             FunctionTransformer(np.fromfile), FunctionTransformer(np.exp), partial(exec, code), np.zeros(1).tofile]
    skops_file = model / "model.skops"
    saved = {f: f.read_bytes() for f in (skops_file, model / "model.json", model / "run" / "metrics.json")}
    for attack in kinds:
        skops.io.dump(attack, skops_file)
        seal_model(model)
        yield "code in a model", refused(skops_file, mark, lambda: load_model(model).predict(place.cohort))
    for file, data in saved.items(): file.write_bytes(data)
    evil, readers = Runs(mark), {"pth": read_weights, "pt": read_features, "npy": read_features, "npz": read_features}
    for suffix, read in readers.items():
        file = place.root / f"evil.{suffix}"
        if suffix in ("pth", "pt"): torch.save({"state_dict": evil, "features": evil}, file)
        elif suffix == "npy": np.save(file, np.array([evil, evil]), allow_pickle=True)
        else: np.savez(file, features=np.array([evil, evil]))
        mark.unlink(missing_ok=True)
        yield "code in weights or features", refused(file, mark, partial(read, file))
        file.write_bytes(pickle.dumps(evil))
        yield "code in weights or features", refused(file, mark, partial(read, file))
    with h5py.File(place.root / "evil.h5", "w") as f:
        f.create_dataset("features", (1, 8), "u1", external=[(str(place.root / "run" / "metrics.json"), 0, 8)])
    yield "code in weights or features", refused(file, mark, lambda: read_features(place.root / "evil.h5"))


RUN = "document.title='RUN'"
HOSTILE = [f"<script>{RUN}</script>", f'"><img src=x onerror={RUN}>', f"'><svg onload={RUN}>",
           f"--><script>{RUN}</script>", f"</title><script>{RUN}</script>", "\u202eABC", "a&lt;b", "{{7*7}}",
           f'" onmouseover="{RUN}', f"]]><script>{RUN}</script>", "javascript:alert(1)"]


class Scripts(HTMLParser):
    "Whether a page has elements or attributes that an identifier brought in."
    found = ""

    def handle_starttag(self, tag, attributes):
        names = [k for k, v in attributes if k.startswith("on") or "javascript:" in (v or "").lower()]
        if tag in ("iframe", "object", "embed") or names: self.found += f"{tag} {names} "

    def handle_data(self, data):
        if self.cdata_elem == "script" and ("RUN" in data or "alert" in data): self.found += "script "


def page_outcome(file: Path, browser: str | None) -> str:
    "Whether a page runs what an identifier holds: as it is parsed, and in a browser."
    parser = Scripts()
    parser.feed(file.read_text("utf-8"))
    if parser.found: return f"wrong answer: the page holds {parser.found}"
    if not browser: return "held"
    words = "headless no-sandbox disable-gpu disable-background-networking virtual-time-budget=2000 dump-dom"
    command = [browser, *(f"--{w}" for w in words.split()), file.as_uri()]
    p = subprocess.run(command, capture_output=True, text=True, timeout=120)
    title = re.search("<title>(.*?)</title>", p.stdout, re.S)
    if p.returncode or not title: return f"internal error: the page cannot be opened: {p.stderr[-200:]}"
    return "wrong answer: a script of an identifier was run" if title[1].strip() == "RUN" else "held"


def write_page(out: Path, *args): write_text(out, patient_page(*args))


def pages(place: Place, is_whole: bool) -> Iterator[tuple[str, str]]:
    "The pages of patients, of a validation and of a run, where identifiers hold scripts."
    ids = place.cohort.patients.patient
    names = {p: f"{HOSTILE[i % len(HOSTILE)]}{i}" for i, p in enumerate(ids)}
    tables = {t: getattr(place.cohort, t).assign(patient=lambda d: d.patient.map(names)) for t in ("patients", "cells")}
    hostile, browser = replace(place.cohort, name=HOSTILE[0], **tables), None
    if is_whole: browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    bare = replace(place.model, info=place.model.info | {"training_images": []})
    out = place.root / "page.html"
    for i in range(len(HOSTILE) if is_whole else 2):
        outcome = attempt(partial(write_page, out, bare, hostile, names[ids[i]]), 120)
        yield "hostile identifiers, page of a patient", outcome if outcome != "held" else page_outcome(out, browser)
    outcome = attempt(lambda: validate(bare, hostile).save(place.root / "validation"), 300)
    file = place.root / "validation" / "report.html"
    yield "hostile identifiers, validation", outcome if outcome != "held" else page_outcome(file, browser)
    if not is_whole: return
    run = crossval(hostile, replace(RECIPES["clinical-logistic"], **LIGHT))
    outcome = attempt(lambda: run.report(place.root / "report.html") and None, 600)
    file = place.root / "report.html"
    yield "hostile identifiers, report", outcome if outcome != "held" else page_outcome(file, browser)


def offline(place: Place, is_whole: bool) -> Iterator[tuple[str, str]]:
    "Without a network all goes on: no socket is connected, and where the system can, there is none."
    def connect(self, address): raise AssertionError(f"a connection to {address}")

    with mock.patch.object(socket.socket, "connect", connect):
        yield "no network", attempt(lambda: predicted(place._replace(model=load_model(place.root / "model"))))
    unshare = shutil.which("unshare")
    if not is_whole or not unshare or subprocess.run([unshare, "-rn", "true"], capture_output=True).returncode: return
    for words in ("predict model cohort --everyone --out all.csv", "crossval cohort --folds 3"):
        command = [unshare, "-rn", sys.executable, "-c", "from lympho.cli import main; main()", *words.split()]
        path = os.pathsep.join([str(Path(images.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
        env = os.environ | {"PYTHONPATH": path}
        p = subprocess.run(command, cwd=place.root, capture_output=True, text=True, env=env)
        yield "no network", f"internal error: {p.stderr[-200:]}" if p.returncode else "held"


def tries(scale: float) -> Iterator[tuple[str, str]]:
    "All tries on one place; see the top."
    is_whole = scale >= 1
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lympho-kept-")))
        stack.enter_context(mock.patch.dict(os.environ, LYMPHO_CACHE=str(root / "cache")))
        stack.enter_context(mock.patch.dict(os.environ, LYMPHO_DATA=""))
        place = make(root)
        yield "nothing was changed", attempt(lambda: predicted(place._replace(model=load_model(root / "model"))))
        yield from damages(place, count(DAMAGES, scale))
        yield from edits(place, count(EDITS, scale), sealed=False)
        yield from edits(place, count(SEALED, scale), sealed=True)
        if is_whole: yield from exchanged(place)
        yield from attacks(place)
        yield from offline(place, is_whole)
        yield from pages(place, is_whole)
        yield from healed(place, count(40, scale))
