"Checks that read notebooks, modules and files without running them; each yields one line a problem."
import ast
import re
import sys
import tokenize
from importlib.metadata import distribution

import yaml
from packaging.requirements import Requirement
from repo import EXPORT, FLAGS, Repo

LONG, TOO_LONG, MEGABYTE = 25, 45, 2**20
DIRECTIVES = EXPORT | FLAGS | {"hide", "default_exp", "echo", "output", "label", "fig-cap", "fig-alt", "code-fold", "warning",
                               "layout-ncol", "tbl-cap", "column"}
DATA = {".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".h5", ".hdf5", ".npy", ".npz", ".pt", ".pth", ".ckpt", ".pkl", ".pickle",
        ".joblib", ".safetensors", ".onnx", ".parquet", ".feather", ".zip", ".gz", ".tar", ".bin", ".sqlite", ".db"}
MACHINE = re.compile(r"(?<![\w.~*])/(?:home|Users|root|tmp|work|mnt|var/folders|private/var)\b/?[\w.-]*|[A-Z]:\\+Users\\+\w+")


def imports(repo: Repo):
    "A notebook imports only modules of lower number, and names them: no star."
    number = {nb.stem: nb.number for nb in repo.notebooks}
    for nb in repo.notebooks:
        for node in (n for c in nb.code for n in c.walk() if isinstance(n, (ast.Import, ast.ImportFrom))):
            names = [a.name for a in node.names]
            if "*" in names: yield f"{nb.name}: `{ast.unparse(node)}`; name what is imported"
            if isinstance(node, ast.ImportFrom) and node.level: yield f"{nb.name}: `{ast.unparse(node)}`; import absolutely"
            if isinstance(node, ast.ImportFrom):
                names = [f"{repo.lib}.{n}" for n in names] if node.module == repo.lib else [node.module or ""]
            for stem in (n.split(".")[1] for n in names if n.startswith(f"{repo.lib}.")):
                if stem.startswith("_") or stem == nb.stem: continue
                if stem not in number: yield f"{nb.name}: `{ast.unparse(node)}`; no notebook exports {stem}"
                elif number[stem] >= nb.number:
                    yield f"{nb.name}: `{ast.unparse(node)}`; imports go downwards in number, {stem} has {number[stem]:02}"


def import_cells(repo: Repo):
    "A cell holds imports or other code, not both: a docs build runs every cell that imports."
    for nb in repo.notebooks:
        for cell in nb.code:
            kinds = {isinstance(s, (ast.Import, ast.ImportFrom)) for s in cell.body}
            if len(kinds) == 2: yield f"{nb.name}: cell `{first_line(cell)}`; move its imports into a cell of their own"


def stems(repo: Repo):
    "Numbers and stems are unique; a module is named by the stem of its notebook; the sidebar lists every notebook once."
    seen = {}
    for nb in repo.notebooks:
        if not re.fullmatch(r"index|\d\d_[a-z][a-z0-9_]*", nb.path.stem): yield f"{nb.name}: name it NN_stem.ipynb"
        for key in {nb.stem, nb.number}:
            if key in seen: yield f"{nb.name}: {key} is taken by {seen[key]}"
            seen[key] = nb.name
        if nb.exports not in (None, nb.stem): yield f"{nb.name}: default_exp is {nb.exports}; it should be {nb.stem}"
        if not nb.exports and any(c.exported for c in nb.code): yield f"{nb.name}: exports without `#| default_exp {nb.stem}`"

    def leaves(x): return [x] if isinstance(x, str) else [y for v in (x if isinstance(x, list) else [x["contents"]]) for y in leaves(v)]
    listed = leaves(yaml.safe_load((repo.root / "nbs/sidebar.yml").read_text())["website"]["sidebar"])
    names = [nb.name for nb in repo.notebooks]
    for name in repo.files:
        if name.endswith(".ipynb") and name.removeprefix("nbs/") not in names: yield f"{name} is not tested; move it to nbs/"
    for name in names:
        if listed.count(name) != 1: yield f"sidebar.yml lists {name} {listed.count(name)} times; list it once"
    for name in listed:
        if name not in names: yield f"sidebar.yml lists {name}, which is not there; remove the line"


def titles(repo: Repo):
    "The first cell is a title and one sentence, which becomes the module's docstring."
    for nb in repo.notebooks:
        first = nb.cells[0] if nb.cells else None
        if not first or first.kind != "markdown" or not re.fullmatch(r"# \S.*\n\n> \S.*[.?!]", first.source.strip()):
            yield f"{nb.name}: the first cell should be '# Title', an empty line and '> One sentence.', no more"


def directives(repo: Repo):
    "Directives are spelt right, and no cell but a flagged one (slow, cuda, data) is kept from running."
    for nb in repo.notebooks:
        for cell in nb.cells:
            for name in cell.directives.keys() - DIRECTIVES:
                yield f"{nb.name}: `#| {name}` is not used here; DIRECTIVES in .ci/structure.py lists what is"
            if cell.kind == "raw": yield f"{nb.name}: raw cell `{first_line(cell)}`; front matter belongs in the title cell"
            if "skip_exec" in cell.source and cell.kind != "code": yield f"{nb.name}: skip_exec; flag single cells instead"
    if any(f.endswith(".notest") for f in repo.files): yield "a .notest file hides notebooks from nbdev_test; remove it"


def lengths(repo: Repo):
    "Exported cells are short, notebooks are small."
    for nb in repo.notebooks:
        if nb.path.stat().st_size > MEGABYTE: yield f"{nb.name}: {nb.path.stat().st_size / MEGABYTE:.1f} MB; keep it below 1 MB"
        for cell in nb.code:
            n = len(cell.source.splitlines())
            if cell.exported and n > TOO_LONG: yield f"{nb.name}: cell `{first_line(cell)}` has {n} lines; cut it into ideas"
    n = sum(cell.exported and len(cell.source.splitlines()) > LONG for nb in repo.notebooks for cell in nb.code)
    if n: yield f"note: {n} exported cells are longer than {LONG} lines"


def outputs(repo: Repo):
    "Stored outputs hold no error, nothing from standard error, no widget, and are there where a cell shows something."
    for nb in repo.notebooks:
        for cell in nb.code:
            where = f"{nb.name}: cell `{first_line(cell)}`"
            if any(o["output_type"] == "error" for o in cell.outputs): yield f"{where} stores a traceback; make refresh NB=nbs/{nb.name}"
            if any(o.get("name") == "stderr" for o in cell.outputs): yield f"{where} stores standard error; silence its cause"
            if any("widget" in k for o in cell.outputs for k in o.get("data", {})): yield f"{where} stores a widget, dead on a page"
            if shows(cell) and not cell.outputs: yield f"{where} has no stored output; make refresh NB=nbs/{nb.name}"


def shows(cell) -> bool:
    "Does the visible `cell` end in something that is displayed?"
    if not cell.body or "hide" in cell.directives or cell.exported or cell.source.rstrip().endswith(";"): return False
    last = getattr(cell.body[-1], "value", None) if isinstance(cell.body[-1], ast.Expr) else None
    printed = isinstance(last, ast.Call) and getattr(last.func, "id", "") in {"print", "display"}
    return printed or isinstance(last, (ast.Name, ast.Attribute, ast.Subscript, ast.Tuple, ast.BinOp, ast.Compare))


def documented(repo: Repo):
    "Every public name has a docstring, every argument and returned value a docment."
    for stem, path in repo.modules.items():
        module = Module(path)
        for label, node in module.public:
            for what in module.undocumented(node): yield f"{path.parent.name}/{stem}.py: {label} lacks {what}"


def checked(repo: Repo):
    "Every public name is used in a cell of its own notebook that is tested and not exported."
    for nb in repo.notebooks:
        if nb.exports not in repo.modules: continue
        cells = [c for c in nb.code if not c.exported and not FLAGS & c.directives.keys()]
        nodes = [n for c in cells for n in c.walk()]
        used = {getattr(n, "id", None) or getattr(n, "attr", None) for n in nodes}
        words = {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}
        module = Module(repo.modules[nb.exports])
        for name in sorted(module.names - used - {n for n in module.commands if n.replace("_", "-") in words}):
            yield f"{nb.name}: {name} has no check; use it in a cell that is not exported"
        for label, node in module.public:
            if label in module.called and node.name not in used: yield f"{nb.name}: {label} has no check; use it in a cell"


class Module:
    "An exported module: its public names, and what of them is not documented."
    def __init__(self, path):
        self.tree = ast.parse(path.read_text(encoding="utf-8"))
        with open(path, "rb") as f: self.tokens = list(tokenize.tokenize(f.readline))
        comments = [t for t in self.tokens if t.type == tokenize.COMMENT]
        self.comments = {t.start[0] for t in comments}
        self.alone = {t.start[0] for t in comments if t.line.lstrip().startswith("#") and not t.string.startswith("# %%")}
        values = [n.value for n in self.tree.body if isinstance(n, ast.Assign) and getattr(n.targets[0], "id", "") == "__all__"]
        imported = {a.asname or a.name for n in self.tree.body if isinstance(n, ast.ImportFrom) for a in n.names}
        self.names = set(ast.literal_eval(values[0])) - imported if values else set()  # its own, not those that it hands on
        self.commands, self.called = set(), set()  # what a decorator may have registered by name; methods that no base class calls
        self.public = list(self._public())

    def _public(self):
        "Pairs of label and node: functions, classes, their public methods, and methods patched into other classes."
        for node in self.tree.body:
            if not isinstance(node, (ast.FunctionDef, ast.ClassDef)): continue
            marks = [ast.unparse(d) for d in node.decorator_list]
            patched = any(m.startswith("patch") for m in marks)
            if patched and not node.name.startswith("_"): self.called.add(node.name)
            if marks: self.commands.add(node.name)
            if node.name in self.names or (patched and not node.name.startswith("_")): yield node.name, node
            if node.name in self.names and isinstance(node, ast.ClassDef):
                for method in (n for n in node.body if isinstance(n, ast.FunctionDef)):
                    label = f"{node.name}.{method.name}"
                    if method.name.startswith("_") and method.name != "__init__": continue
                    if not node.bases and method.name != "__init__": self.called.add(label)  # else a base class may call it
                    yield label, method

    def undocumented(self, node):
        "What `node` lacks, in words."
        marks = " ".join(ast.unparse(d) for d in node.decorator_list)
        if "property" in marks or "as_prop" in marks:
            if not ast.get_docstring(node) and self.signature_end(node) not in self.comments: yield "a docstring"
            return
        if not ast.get_docstring(node) and node.name != "__init__": yield "a docstring"
        if isinstance(node, ast.ClassDef):
            if "dataclass" in marks:
                yield from (f"a comment on the field {f.target.id}" for f in node.body
                            if isinstance(f, ast.AnnAssign) and not self.comments & {f.end_lineno, f.lineno - 1})
            return
        a = node.args
        plain = a.posonlyargs + a.args
        defaults = [None] * (len(plain) - len(a.defaults)) + a.defaults + [None] + a.kw_defaults + [None]
        args = list(zip(plain + [a.vararg] + a.kwonlyargs + [a.kwarg], defaults))
        ends = {arg.arg: (default or arg).end_lineno for arg, default in args if arg}
        close = self.signature_end(node)
        for arg, default in args:
            if not arg or arg.arg in ("self", "cls") or (arg is a.kwarg and "delegates" in marks): continue
            if "help=" in ast.unparse(arg) + (ast.unparse(default) if default else ""): continue  # an option of a command
            end = ends[arg.arg]
            own_line = list(ends.values()).count(end) == 1 and end in self.comments and not (end == close and node.returns)
            if not own_line and (default or arg).lineno - 1 not in self.alone: yield f"a docment on the argument {arg.arg}"
        gives = ast.unparse(node.returns) not in ("None", "'None'") if node.returns else returns_value(node)
        if gives and (close not in self.comments or (close in ends.values() and not node.returns)):
            yield "a docment on what it returns"

    def signature_end(self, node) -> int:
        "The line of the colon that ends the signature of `node`."
        depth = 0
        for t in (t for t in self.tokens if t.start[0] >= node.lineno and t.type == tokenize.OP):
            depth += (t.string in "([{") - (t.string in ")]}")
            if t.string == ":" and not depth: return t.start[0]


def returns_value(node) -> bool:
    "Does the function return or yield something, nested functions aside?"
    todo = list(node.body)
    while todo:
        n = todo.pop()
        if isinstance(n, (ast.FunctionDef, ast.Lambda, ast.ClassDef)): continue
        if isinstance(n, (ast.Return, ast.Yield)) and n.value is not None or isinstance(n, ast.YieldFrom): return True
        todo.extend(ast.iter_child_nodes(n))
    return False


def data_files(repo: Repo):
    "No data and no weights in the repository; tables only in results, pictures only beside the notebooks."
    for name in repo.files:
        path = repo.root / name
        if path.suffix.lower() in DATA: yield f"{name} looks like data or weights; keep it outside the repository"
        if path.suffix.lower() == ".csv" and not name.startswith("results/"): yield f"{name}: a table; keep results in results/, data outside the repository"
        if path.suffix.lower() in {".png", ".gif"} and not name.startswith("nbs/images/"): yield f"{name}: put it in nbs/images"
        if path.stat().st_size > MEGABYTE: yield f"{name}: {path.stat().st_size / MEGABYTE:.1f} MB; the limit is 1 MB"


def machine_paths(repo: Repo):
    "No file and no stored output holds a path of somebody's machine."
    for name, text in repo.texts():
        for found in sorted({m.group() for m in MACHINE.finditer(text)}): yield f"{name}: {found}; leave machine paths out"


def address(repo: Repo):
    "settings.ini alone says where the repository lives; what nbdev generates from it may repeat it."
    s = repo.settings
    places = [s["git_url"].split("://")[1], s["doc_host"].split("://")[1]]
    for name, text in repo.texts():
        if name in ("settings.ini", "nbs/nbdev.yml", f"{repo.lib}/_modidx.py"): continue
        for place in places:
            if place in text: yield f"{name}: spells {place}; only settings.ini does"


def constraints(repo: Repo):
    "constraints.txt pins every requirement of settings.ini within its range, and holds nothing but pins."
    pins = {}
    for line in (repo.root / "constraints.txt").read_text().splitlines():
        if line.strip().startswith("#") or not line.strip(): continue
        if not re.fullmatch(r"[a-z0-9.-]+==[\w.]+( ; .+)?", line): yield f"constraints.txt: `{line}` is not a pin; make lock"
        else: pins.setdefault(Requirement(line).name, []).append(str(Requirement(line).specifier)[2:])
    for text in (repo.settings["requirements"] + " " + repo.settings["dev_requirements"]).split():
        r = Requirement(text)
        versions = pins.get(r.name.lower().replace("_", "-"), [])
        if not versions or not all(r.specifier.contains(v) for v in versions):
            yield f"constraints.txt has {versions or 'no pin'} for {text}; make lock"


def requirements(repo: Repo):
    "Every package that a module imports is required in settings.ini, not just there by the grace of another."
    required = [Requirement(r).name for r in repo.settings["requirements"].split()]
    optional = {Requirement(r).name for extra in ("bench", "cluster") for r in repo.settings[f"{extra}_requirements"].split()}
    provided = {f.parts[0].removesuffix(".py") for name in required for f in distribution(name).files or []}
    for stem, path in repo.modules.items():
        nodes = [n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, (ast.Import, ast.ImportFrom))]
        names = {a.name for n in nodes if isinstance(n, ast.Import) for a in n.names}
        names |= {n.module for n in nodes if isinstance(n, ast.ImportFrom) and not n.level}
        for name in sorted({n.split(".")[0] for n in names} - sys.stdlib_module_names - provided - optional - {repo.lib}):
            yield f"{repo.lib}/{stem}.py imports {name}; add it to settings.ini, then make lock"


def conflicts(repo: Repo):
    "No half of a merge was left in a file."
    for name, text in repo.texts():
        if re.search(r"^`?(<{7}|>{7}) ", text, re.M): yield f"{name} holds marks of a conflict; choose a side"


def first_line(cell) -> str:
    "The first line of code of `cell`, shortened, to find it by."
    lines = [s for s in cell.source.splitlines() if s.strip() and not s.lstrip().startswith("#|")] or [cell.source]
    return lines[0][:60]


CHECKS = [stems, titles, imports, import_cells, directives, lengths, outputs, documented, checked,
          data_files, machine_paths, conflicts, address, constraints, requirements]
