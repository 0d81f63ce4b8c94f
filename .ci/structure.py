"Checks that read notebooks, modules and files without running them; each yields one line a problem."
import ast
import builtins
import csv
import io
import re
import statistics
import sys
import tokenize
from collections import Counter
from configparser import ConfigParser
from importlib.metadata import distribution

from packaging.requirements import Requirement
from repo import EXPORT, FLAGS, Notebook, Repo

MAX_LINES, MAX_WIDTH, MAX_BYTES = 25, 120, 2**20
DIRECTIVES = EXPORT | FLAGS | {"hide", "default_exp", "echo", "timing", "fig-alt", "fig-cap"}
DATA = {*"jpg jpeg bmp tif tiff h5 hdf5 npy npz pt pth ckpt pkl pickle joblib skops safetensors onnx".split(),
        *"parquet feather xls xlsx zip gz tar bin sqlite db".split()}
PLACES = {"csv": "results/", "png": "nbs/images/", "gif": "nbs/images/"}
MACHINE = r"(?<![\w.~*])/(?:home|Users|root|tmp|work|mnt|var/folders|private/var)\b/?[\w.-]*|[A-Z]:\\+Users\\+\w+"
CONFLICT = r"(?m)^`?(?:<{7}|>{7}) "
COPIED = r"[78]\d"  # numbers of tutorials and how-tos


def titles(repo: Repo):
    "The first cell is a title and one sentence, which becomes the module's docstring."
    for nb in repo.notebooks:
        if not nb.cells or not re.fullmatch(r"# \S.*\n\n> \S.*[.?!]", nb.cells[0].source.strip()):
            yield f"{nb.name}: the first cell should be '# Title', an empty line and '> One sentence.', no more"


def names(repo: Repo):
    "Notebooks lie in nbs/ as NN_stem or NNa_stem, both unique, the stem names the module, the sidebar lists all."
    taken, listed = {}, re.findall(r"\w+\.ipynb", repo.read("nbs/sidebar.yml"))
    for nb in repo.notebooks:
        for key in {nb.stem, nb.number}:
            if taken.setdefault(key, nb.name) != nb.name: yield f"{nb.name}: {key} is taken by {taken[key]}"
        modules = {c.directives_["default_exp"][0] for c in nb.code if "default_exp" in c.flags}
        if (modules or nb.exported) and modules != {nb.stem}: yield f"{nb.name}: it needs `#| default_exp {nb.stem}`"
        is_named = re.fullmatch(r"index|\d\d[a-z]?_[a-z][a-z0-9_]*", nb.path.stem)
        if not is_named: yield f"{nb.name}: name it NN_stem.ipynb"
    there = [f.removeprefix("nbs/") for f in repo.files if f.endswith(".ipynb")]
    wrong = sorted({*listed} ^ {*there} | {n for n in listed if listed.count(n) > 1})
    if wrong: yield f"nbs/sidebar.yml lists what is not there, lacks what is, or lists it twice: {', '.join(wrong)}"


def imports(repo: Repo):
    "A notebook imports modules of notebooks with a lower number only."
    number = {nb.stem: nb.number for nb in repo.notebooks}
    pattern = rf"(?m)^ *(?:from|import) +{repo.lib}(?:\.(\w+)| +import +\(?([\w, ]+))"
    for nb in repo.notebooks:
        for stem in {s for c in nb.code for m in re.findall(pattern, c.source) for s in re.split(r"\W+", m[0] or m[1])}:
            if number.get(stem, "") >= nb.number and stem != nb.stem:
                yield f"{nb.name}: imports go downwards in number, {stem} has {number[stem]}"


def cells(repo: Repo):
    "Directives are known, no stored output is an error, a warning or a widget, exported cells are short."
    lines = sorted(len(c.lines) for nb in repo.notebooks for c in nb.exported)
    wide = sum(len(line) > MAX_WIDTH for nb in repo.notebooks for c in nb.exported for line in c.lines)
    for nb in repo.notebooks:
        for c in nb.code:
            for flag in sorted(c.flags - DIRECTIVES): yield f"{c.where}: `#| {flag}` is not among the DIRECTIVES of .ci"
            kinds = {k for o in c.outputs for k in (o["output_type"], o.get("name"), *o.get("data", {})) if k}
            for k in sorted(k for k in kinds if re.search("error|stderr|widget", k)): yield f"{c.where} stores: {k}"
        for c in nb.exported:
            if len(c.lines) > MAX_LINES: yield f"{c.where} has {len(c.lines)} lines, not {MAX_LINES}; cut it into ideas"
    yield f"note: lines of an exported cell: median {statistics.median(lines):g}, 90% {lines[9 * len(lines) // 10]}, " \
          f"most {lines[-1]}; {wide} of {sum(lines)} pass {MAX_WIDTH} characters"


def visible(repo: Repo):
    "Visible cells of tutorials and how-tos import and define whatever they use: a reader copies them in order."
    for nb in (nb for nb in repo.notebooks if re.match(COPIED, nb.number)):
        known = {*dir(builtins)}
        for c in (c for c in nb.code if not c.flags & {"hide", "echo"}):
            nodes = [*ast.walk(ast.parse("\n".join(c.lines)))]
            known |= {name for n in nodes for name in defined(n)}
            for name in sorted({n.id for n in nodes if isinstance(n, ast.Name)} - known):
                yield f"{c.where}: {name} comes from a hidden cell; import or define it where a reader sees it"


def defined(node) -> list[str]:
    "The names that a node of a syntax tree defines."
    if isinstance(node, ast.Name): return [] if isinstance(node.ctx, ast.Load) else [node.id]
    if isinstance(node, ast.alias): return [(node.asname or node.name).split(".")[0]]
    if isinstance(node, ast.arg): return [node.arg]
    return [node.name] if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.ExceptHandler)) and node.name else []


def documented(repo: Repo):
    "A public function has a docment on each argument and on what it returns, a dataclass on each field."
    for stem, source in repo.modules.items():
        tokens = tokenize.generate_tokens(io.StringIO(source).readline)
        comments = {t.start[0]: t.line.lstrip().startswith("#") for t in tokens if t.type == tokenize.COMMENT}
        for label, node in public(source):
            for what in undocumented(node, comments): yield f"{repo.lib}/{stem}.py: {label} lacks a docment on {what}"


def public(source: str):
    "Pairs of label and node: public functions (methods that @patch adds too), classes and their methods."
    for node in ast.parse(source).body:
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef)) or node.name.startswith("_"): continue
        yield node.name, node
        methods = [m for m in node.body if isinstance(m, ast.FunctionDef)] if isinstance(node, ast.ClassDef) else []
        yield from ((f"{node.name}.{m.name}", m) for m in methods if m.name[0] != "_" or m.name == "__init__")


def undocumented(node, comments: dict):
    "What lacks a comment: beside it, alone on its line, or above it; that on the result ends the signature."
    marks = " ".join(map(ast.unparse, node.decorator_list))
    if "property" in marks or "as_prop" in marks: return
    items = [n for n in node.body if isinstance(n, ast.AnnAssign) and "dataclass" in marks]
    if isinstance(node, ast.FunctionDef):
        a = node.args
        args = [*a.posonlyargs, *a.args, a.vararg, *a.kwonlyargs, None if "delegates" in marks else a.kwarg]
        items = [x for x in args if x and x.arg not in ("self", "cls")]
        gives = any(isinstance(n, (ast.Return, ast.Yield, ast.YieldFrom)) and n.value for n in ast.walk(node))
        if gives and node.body[0].lineno - 1 not in comments: yield "what it returns"
    lines = [x.lineno for x in [*items, getattr(node, "returns", None)] if x]
    for x in items:
        beside = lines.count(x.lineno) == 1 and x.lineno in comments
        if not beside and not comments.get(x.lineno - 1): yield getattr(x, "arg", None) or x.target.id


def checked(repo: Repo):
    "Every public name, and every method of a class without bases, is used in a tested cell of its own notebook."
    for nb in (nb for nb in repo.notebooks if nb.stem in repo.modules):
        tested = " ".join(c.source.replace("-", "_") for c in nb.code if not c.flags & (EXPORT | FLAGS))
        pairs = list(public(repo.modules[nb.stem]))
        derived = tuple(f"{label}." for label, node in pairs if isinstance(node, ast.ClassDef) and node.bases)
        for name in sorted({n.name for label, n in pairs if not label.startswith(derived or "?")} - {"__init__"}):
            if not re.search(rf"\b{name}\b", tested): yield f"{nb.name}: {name} has no check; use it in a cell"


def rows_of_patients(text: str):
    "Columns of a table that name patients or images, or number them: running numbers that occur equally often."
    head, *rows = csv.reader(io.StringIO(text))
    for name, values in zip(head, zip(*rows)):
        times = Counter(values)
        numbers = {str(i + 1) for i in range(len(times))}, {str(i) for i in range(len(times))}
        is_running = len(times) > 20 and len({*times.values()}) == 1 and {*times} in numbers
        if is_running or name.lower() in ("patient", "id", "path", "file", "birth", "dob"): yield name


def files(repo: Repo):
    "No data, no weights, no big file and no row of a patient; tables only in results/, pictures only in nbs/images/."
    for name in repo.files:
        kind, size = name.rpartition(".")[2].lower(), (repo.root / name).stat().st_size
        if kind in DATA or size > MAX_BYTES: yield f"{name} is data, weights or above 1 MB; leave it out"
        if not name.startswith(PLACES.get(kind, "")): yield f"{name}: such a file belongs into {PLACES[kind]}"
        for column in rows_of_patients(repo.read(name)) if kind == "csv" else ():
            yield f"{name} has a row for each patient or image ({column}); count them in groups"


def texts(repo: Repo):
    "No file and no stored output holds a path of somebody's machine, half of a merge, or where the repository lives."
    home = "|".join(re.escape(repo.settings[k].split("://")[1]) for k in ("git_url", "doc_host"))
    for name in repo.files:
        try: text = Notebook(repo.root / name).texts() if name.endswith(".ipynb") else repo.read(name)
        except UnicodeDecodeError: continue  # a picture
        found = {MACHINE: "leave machine paths out", CONFLICT: "choose a side of the conflict"}
        generated = "settings.ini", "README.md", "nbs/nbdev.yml", f"{repo.lib}/_modidx.py"  # made of the first
        text = text.replace(f"pip install -q git+{repo.settings['git_url']}", "")  # so is this, see pages.py
        if name not in generated: found[home] = "only settings.ini says it"
        for pattern, remedy in found.items():
            yield from (f"{name}: {hit}; {remedy}" for hit in sorted({m.group() for m in re.finditer(pattern, text)}))


def packages(repo: Repo):
    "settings.ini requires what the modules import, and constraints.txt pins every requirement within its range."
    s = repo.settings
    pins = [Requirement(p) for p in re.findall(r"(?m)^[^#\s].*", repo.read("constraints.txt"))]
    for r in map(Requirement, f"{s['requirements']} {s['dev_requirements']}".split()):
        versions = [str(p.specifier) for p in pins if p.name.lower() == r.name.lower().replace("_", "-")]
        if not versions or not all(v.startswith("==") and r.specifier.contains(v[2:]) for v in versions):
            yield f"constraints.txt has {versions or 'no pin'} for {r}; make lock"
    optional = " ".join(s[f"{extra}_requirements"] for extra in ("bench", "cluster", "openvino")).split()
    known = sys.stdlib_module_names | {repo.lib} | {Requirement(r).name for r in optional}
    for r in map(Requirement, s["requirements"].split()):
        is_for_this = r.marker is None or r.marker.evaluate()
        known |= {f.parts[0] for f in distribution(r.name).files or []} if is_for_this else {r.name}
    for stem, source in repo.modules.items():
        for name in {*re.findall(r"(?m)^ *(?:from|import) (\w+)", source)}:
            if not {name, f"{name}.py"} & known: yield f"{repo.lib}/{stem}.py imports {name}; settings.ini lacks it"


def devices(repo: Repo):
    "A method of a network names the device of every tensor that it makes."
    names = "tensor zeros ones full empty eye arange linspace rand randn randint randperm"
    makers = {f"torch.{name}" for name in names.split()}
    for stem in ("pooling", "models", "encoders"):
        for f in ast.walk(ast.parse(repo.modules.get(stem, ""))):
            if not isinstance(f, ast.FunctionDef) or [a.arg for a in f.args.args[:1]] != ["self"]: continue
            calls = [n for n in ast.walk(f) if isinstance(n, ast.Call)]
            moved = [c.func.value for c in calls if isinstance(c.func, ast.Attribute) and c.func.attr == "to"]
            made = [c for c in calls if ast.unparse(c.func) in makers and "device" not in {k.arg for k in c.keywords}]
            if f.name != "__init__": yield from (f"{repo.lib}/{stem}.py: {f.name}: `{ast.unparse(c)}` has no device"
                                                 for c in made if c not in moved)


def words(repo: Repo):
    "Names and texts of modules, and prose, use one term for one thing: .ci/words.txt."
    terms = ConfigParser(delimiters=[":"])
    terms.read(repo.root / ".ci/words.txt", encoding="utf-8")
    rows = [(scopes, *row) for scopes in terms.sections() for row in terms[scopes].items()]
    patterns = {}
    for scope in ("names", "texts", "prose"):
        choices = "|".join(f"(?P<t{n}>{term})" for n, (scopes, term, _) in enumerate(rows) if scope in scopes)
        patterns[scope] = re.compile(rf"(?i)(?<!\w)(?:{choices})(?!\w)")
    for place, scope, text in phrases(repo):
        for m in patterns[scope].finditer(text): yield f"{place}: {m.group()}; use {rows[int(m.lastgroup[1:])][2]}"


def phrases(repo: Repo):
    "Place, scope and words: names of modules, split at underscores and capitals; their strings, comments; prose."
    for stem, source in repo.modules.items():
        for t in tokenize.generate_tokens(io.StringIO(source).readline):
            scope = {tokenize.NAME: "names", tokenize.OP: "", tokenize.NUMBER: ""}.get(t.type, "texts")
            parts = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", t.string) if scope == "names" else t.string.split()
            if scope: yield f"{repo.lib}/{stem}.py:{t.start[0]}", scope, " ".join(parts)
    pages = {name: repo.read(name) for name in repo.pages}
    pages |= {nb.name: "\n\n".join(c.source for c in nb.cells if c.cell_type == "markdown") for nb in repo.notebooks}
    for name, text in pages.items():
        paragraphs = [" ".join(p.split()) for p in text.split("\n\n")]
        yield from ((f"{name}, paragraph {n}", "prose", p) for n, p in enumerate(paragraphs, 1))


CHECKS = [titles, names, imports, cells, visible, documented, checked, files, texts, packages, devices, words]
