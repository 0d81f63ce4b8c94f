"What the checks read: the files of a checkout, its settings, and its notebooks with their cells parsed."
import ast
import json
import re
import shutil
import subprocess
import tempfile
from configparser import ConfigParser
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager

EXPORT = {"export", "exporti", "exports"}
FLAGS = {"slow", "cuda", "data"}


@dataclass
class Cell:
    "A cell of a notebook: its source and directives, the parsed code, the stored outputs."
    kind: str
    source: str
    outputs: list
    directives: dict = field(init=False)

    def __post_init__(self):
        lines = re.match(r"(?:[ \t]*#[ \t]*\|.*(?:\n|$)|\s*\n)*", self.source).group().splitlines()
        words = [line.split("|", 1)[1].replace(":", " ").split() for line in lines if "|" in line]
        self.directives = {w[0]: w[1:] for w in words if w} if self.kind == "code" else {}

    @property
    def exported(self) -> bool: return bool(EXPORT & self.directives.keys())

    @cached_property
    def body(self) -> list[ast.stmt]:
        "The statements of a code cell, IPython's magics left out."
        if self.kind != "code": return []
        try: body = ast.parse(TransformerManager().transform_cell(self.source)).body
        except SyntaxError: return []  # ruff and nbdev_test report it
        return [s for s in body if "get_ipython()" not in ast.unparse(s)]

    def walk(self):
        "Every node of the code."
        return (node for statement in self.body for node in ast.walk(statement))

    def texts(self):
        "Every text stored as an output."
        for o in self.outputs:
            data = [o.get("text", "")] + [v for k, v in o.get("data", {}).items() if k.startswith("text/") or "svg" in k]
            yield from ("".join(d) for d in data)


class Notebook:
    "A notebook by its path: number, stem and cells."
    def __init__(self, path: Path):
        self.path, self.name = path, path.name
        number, self.stem = re.match(r"(?:(\d\d)_)?(.*)", path.stem).groups()
        self.number = int(number) if number else 100  # index comes after all others
        self.cells = [Cell(c["cell_type"], "".join(c["source"]), c.get("outputs", []))
                      for c in json.loads(path.read_text(encoding="utf-8"))["cells"]]
        self.code = [c for c in self.cells if c.kind == "code"]
        self.exports = next((c.directives["default_exp"][0] for c in self.code if c.directives.get("default_exp")), None)


class Repo:
    "A checkout: what git tracks or would track, read once."
    def __init__(self, root: Path):
        self.root = Path(root).resolve()
        config = ConfigParser(delimiters=["="])
        config.read(self.root / "settings.ini", encoding="utf-8")
        self.settings = config["DEFAULT"]
        self.lib = self.settings["lib_path"]

    def git(self, *args) -> str:
        return subprocess.run(["git", *args], cwd=self.root, check=True, capture_output=True, text=True).stdout

    @cached_property
    def files(self) -> list[str]:
        "Tracked files and new ones that git does not ignore, as they lie on disk."
        listed = set(self.git("ls-files", "-coz", "--exclude-standard").split("\0")) - {""}
        return sorted(f for f in listed if (self.root / f).exists())

    @cached_property
    def notebooks(self) -> list[Notebook]:
        return [Notebook(p) for p in sorted((self.root / self.settings["nbs_path"]).glob("*.ipynb"))]

    @cached_property
    def modules(self) -> dict[str, Path]:
        "The exported modules by stem."
        return {p.stem: p for p in sorted((self.root / self.lib).glob("*.py")) if not p.stem.startswith("_")}

    def texts(self):
        "Every file that is text, with its content; the stored images of notebooks are left out."
        for name in self.files:
            path = self.root / name
            if path.is_symlink(): continue
            if name.endswith(".ipynb"):
                nb = Notebook(path)
                yield name, "\n".join([c.source for c in nb.cells] + [t for c in nb.cells for t in c.texts()])
            else:
                try: yield name, path.read_text(encoding="utf-8")
                except UnicodeDecodeError: pass

    @contextmanager
    def copy(self):
        "A temporary copy of the checkout's files, for checks that write."
        with tempfile.TemporaryDirectory(prefix="lympho-") as tmp:
            for name in self.files:
                target = Path(tmp) / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self.root / name, target, follow_symlinks=False)
            yield Path(tmp)
