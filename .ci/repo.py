"What the checks read: the files of a checkout, its settings, and its notebooks as nbdev parses them."
import os
import re
import shutil
import subprocess
import sys
import tempfile
from configparser import ConfigParser
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from nbdev.process import NBProcessor

ADDRESS = "{{< meta website.repo-url >}}"  # in a page: where the repository lives
EXPORT, FLAGS = {"export", "exporti", "exports"}, {"slow", "cuda", "data"}


class Notebook:
    "A notebook: number, stem, and cells with their `flags` (names of directives) and `lines` of code (without these)."
    def __init__(self, path: Path):
        self.path, self.name = path, path.name
        number, self.stem = re.match(r"(?:(\d\d[a-z]?)_)?(.*)", path.stem).groups()
        self.number = number or "~"  # 00, 00a, 00b, 01, ...; index comes after all others
        self.cells = NBProcessor(path, rm_directives=False).nb.cells
        for c in self.cells:
            c.flags = {name.strip(":") for name in c.directives_} if c.cell_type == "code" else set()
            c.lines = [line for line in c.source.splitlines() if not line.startswith("#|")]
            c.where = f"{self.name}: cell `{next((s.strip() for s in c.lines if s.strip()), '')[:60]}`"
        self.code = [c for c in self.cells if c.cell_type == "code"]
        self.exported = [c for c in self.code if c.flags & EXPORT]

    def texts(self) -> str:
        "Sources and the outputs that are text."
        outputs = [{"text/": o.get("text", ""), **o.get("data", {})} for c in self.code for o in c.outputs]
        data = ["".join(v) for o in outputs for kind, v in o.items() if kind.startswith("text/")]
        return "\n".join([*(c.source for c in self.cells), *data])


class Repo:
    "A checkout: what git tracks or would track, read once."
    def __init__(self, root: Path):
        self.root, config = Path(root).resolve(), ConfigParser(delimiters=["="])
        config.read(self.root / "settings.ini", encoding="utf-8")
        self.settings = config["DEFAULT"]
        self.lib = self.settings["lib_path"]
        self.home = f"{self.settings['doc_host']}{self.settings['doc_baseurl']}/"

    def opened(self, name: str) -> tuple[str, str]:
        "Where the notebook `name` opens without an installation: on Colab, on Kaggle."
        s = self.settings
        place = f"{s['git_url']}/blob/{s['branch']}/nbs/{name}"
        colab = place.replace("https://github.com", "https://colab.research.google.com/github")
        return colab, f"https://kaggle.com/kernels/welcome?src={place}"

    def run(self, *command, **env) -> tuple[int, str]:
        "Run a command with this checkout's package first on the path; give its exit status and what it printed."
        env |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(self.root)}
        p = subprocess.run(command, cwd=self.root, text=True, env=os.environ | env, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return p.returncode, p.stdout.strip()

    @cached_property
    def files(self) -> list[str]:
        "Tracked files and new ones that git does not ignore, as they lie on disk."
        listed = self.run("git", "ls-files", "-coz", "--exclude-standard")[1].split("\0")
        return sorted(f for f in {*listed} - {""} if (self.root / f).exists())

    @cached_property
    def notebooks(self) -> list[Notebook]: return [Notebook(p) for p in sorted((self.root / "nbs").glob("*.ipynb"))]

    @cached_property
    def modules(self) -> dict[str, str]:
        "The exported modules: stem and source."
        return {p.stem: self.read(f"{self.lib}/{p.name}") for p in sorted((self.root / self.lib).glob("[!_]*.py"))}

    @cached_property
    def pages(self) -> list[str]: return [f for f in self.files if "/" not in f and f.endswith(".md")]

    def read(self, name: str) -> str: return (self.root / name).read_text(encoding="utf-8")

    @contextmanager
    def copy(self):
        "A temporary copy of the checkout, for checks that write."
        with tempfile.TemporaryDirectory(prefix="lympho-") as tmp:
            for name in self.files:
                (Path(tmp) / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self.root / name, Path(tmp) / name, follow_symlinks=False)
            yield Repo(tmp)
