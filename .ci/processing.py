"""nbdev's processing of notebooks, with entries that show fields, links to the right page, folded analyses.

As a program it processes what has changed in nbs/ into _proc.
"""
import ast
import gc
import inspect
import re
from importlib import import_module
from operator import attrgetter
from pathlib import Path

import nbdev.serve
from execnb.nbio import mk_cell
from fastcore.docments import _unwrap_sym
from nbdev import processors
from nbdev.doclinks import NbdevLookup
from nbdev.process import Processor
from nbdev.showdoc import BasicMarkdownRenderer
from repo import ADDRESS, Repo

REPO = Repo(Path(__file__).parent.parent)
LIB = REPO.lib
FOLDED = r"04|5\d|6\d"  # numbers of analyses: their code is folded
OPENED = r"70|8\d"  # numbers of tutorials: they open on Colab and Kaggle


def stem_of(nb) -> str: return re.sub(r"^\d\d[a-z]?_", "", Path(nb.path_).stem)


def fields(cls: type) -> list[str]:
    "The fields of a dataclass, a named tuple or a model of pydantic as its source has them, with their meaning."
    source = inspect.getsource(cls)
    lines, body = source.splitlines(), ast.parse(source).body[0].body
    items = [n for n in body if isinstance(n, ast.AnnAssign) and n.target.id[0] != "_"]
    return [line.rstrip() for n in items for line in lines[n.lineno - 1:n.end_lineno]]


class Entry(BasicMarkdownRenderer):
    "An entry of the reference: the signature with short names of types; of a class the fields, if it has them."
    def __init__(self, sym, **kwargs):
        super().__init__(sym, **kwargs)
        self.dm = re.sub(r"<(?:function )?([\w.]+)(?: object)? at 0x\w+>", r"\1", str(self.dm))
        self.dm = re.sub(r"\b(?:[a-z_]\w*\.)+([A-Z]\w*)", r"\1", self.dm)
        if not inspect.isclass(sym): return
        self.dm = re.sub(r"\n\)(->None)?:$", "\n)", self.dm.replace("def ", "class ", 1))
        if items := fields(sym): self.dm = "\n".join([f"class {sym.__name__}:", *items])
        elif "*args" in self.dm: self.dm = f"class {sym.__name__}"


def entry_of(module: str):
    "show_doc for the notebook of `module`: it shows what the module holds, since only that has a file of source."
    def show_doc(sym, name=None, title_level=3):
        sym = _unwrap_sym(sym)
        try: sym = _unwrap_sym(attrgetter(sym.__qualname__)(import_module(module)))
        except AttributeError: pass  # not of this module
        return Entry(sym, name=name, title_level=title_level)
    return show_doc


class execute(processors.exec_show_docs):
    "Run what the entries need, and make them with Entry."
    def begin(self):
        super().begin()
        code = f"from processing import entry_of; show_doc = entry_of('{LIB}.{stem_of(self.nb)}')"
        if hasattr(self, "k"): self.k.run_cell(code)


class entries(processors.add_show_docs):
    "An entry for whatever is exported, but for special methods, of which the class itself says enough."
    def begin(self):
        super().begin()
        self.nb.cells = [c for c in self.nb.cells if not re.fullmatch(r"show_doc\([\w.]*\b__\w+__\)", c.source or "")]


class Links(NbdevLookup):
    "Links for names in backticks: a plain word leads to its own page alone; of other libraries only classes and paths."
    def __init__(self, stem: str):
        super().__init__()
        stems = {k.split(".")[1] for k in self.syms if k.startswith(f"{LIB}.")}
        self.modules = [f"{LIB}.{s}" for s in sorted(stems, key=lambda s: (s != stem, s))]
        self.own = f"{LIB}.{stem}"

    def doc(self, sym: str) -> str | None:
        "The address of the page for `sym`, relative where it is ours."
        places = [self.own] if re.fullmatch("[a-z]+", sym) else self.modules  # `train` may be a folder
        ours = next((self.syms[f"{m}.{sym}"] for m in places if f"{m}.{sym}" in self.syms), None)
        if ours or sym.startswith(f"{LIB}."): return (ours or self.syms.get(sym, [None]))[0]
        return super().doc(sym) if re.match(r"[A-Z]|\w+\.\w+\.", sym) else None


class links(Processor):
    "Link names in backticks, in prose and in entries; our own pages by their names alone."
    def begin(self):
        self.lookup = Links(stem_of(self.nb))
        self.home = re.compile(r"(?<=\]\()" + re.escape(REPO.home))

    def linked(self, text: str) -> str: return self.home.sub("", self.lookup.linkify(text))

    def cell(self, cell):
        if cell.cell_type == "markdown" and cell.source: cell.source = self.linked(cell.source)
        for data in (o["data"] for o in cell.get("outputs", []) if "text/markdown" in o.get("data", {})):
            data["text/markdown"] = self.linked("".join(data["text/markdown"])).splitlines(keepends=True)


def without_markup(text: str) -> str:
    "Words of prose: no links, emphasis, code, nor percent signs, which Quarto takes for parts of a URI."
    text = text.replace("%", " percent")
    return re.sub(r"[*`$\"\\]|\]\([^)]*\)|\[|<[^>]*>", "", " ".join(text.split()))


def addressed(text: str) -> str: return text.replace(ADDRESS, REPO.settings["git_url"])


class address(Processor):
    "The address of the repository, which settings.ini alone spells."
    def cell(self, cell):
        if cell.source: cell.source = addressed(cell.source)


class figures(Processor):
    "A figure without a text in its place gets one: the heading that it is below, and the sentence before it."
    def begin(self): self.heading, self.prose = getattr(self.nb, "frontmatter_", {}).get("title", ""), ""

    def cell(self, cell):
        if cell.cell_type == "markdown" and cell.source:
            cell.source = re.sub(r"!\[([^]]+)]\(([^)]+)\)(?!{)", r'![\1](\2){fig-alt="\1"}', cell.source)
            for paragraph in cell.source.split("\n\n"):
                if m := re.match(r"#+ (.*)", paragraph): self.heading, self.prose = without_markup(m[1]), ""
                elif re.match(r"\w", paragraph): self.prose = re.split(r"(?<=[.?!:]) ", without_markup(paragraph))[0]
        kinds = {kind for o in cell.get("outputs", []) for kind in o.get("data", {})}
        if "image/png" in kinds and "fig-alt" not in (cell.source or ""):
            cell.source = f'#| fig-alt: "{self.heading}. {self.prose}"\n{cell.source}'


class tables(Processor):
    "Tables as raw HTML in markdown, since Quarto asks another host for programs where an output is HTML itself."
    def cell(self, cell):
        for data in (o["data"] for o in cell.get("outputs", []) if "text/html" in o.get("data", {})):
            html = re.sub(r"<style.*?</style>| border=\"1\"", "", "".join(data.pop("text/html")), flags=re.DOTALL)
            if "sk-top-container" in html: continue  # an estimator, of which the text says enough
            html = re.sub(r"(\[[-+\d.]+,) (?=[-+\d.]+\])", r"\1&nbsp;", html)  # [.8, .9] stays in one line
            html = re.sub(r"(?<=\w)_(?=\w+</th>)", "_<wbr>", html)  # missed_rate may take two
            data.clear()
            data["text/markdown"] = f"```{{=html}}\n{html}\n```"


class front(Processor):
    "Analyses have their code folded; tutorials say where they can be opened."
    def begin(self):
        number = Path(self.nb.path_).stem.split("_")[0]
        if re.fullmatch(FOLDED, number):
            head = self.nb.cells[0]
            head.source = head.source.replace("---\n", "---\ncode-fold: true\ncode-summary: Code\n", 1)
        if re.fullmatch(OPENED, number):
            colab, kaggle = REPO.opened(Path(self.nb.path_).name)
            text = f"Open this page as a notebook on [Colab]({colab}) or [Kaggle]({kaggle})."
            self.nb.cells.insert(1, mk_cell(text, "markdown"))


class Pages(processors.FilterDefaults):
    "nbdev's processors, some of them replaced."
    def base_procs(self):
        ours = {"add_show_docs": [entries], "exec_show_docs": [execute], "add_links": [links, figures, tables],
                "FrontmatterProc": [processors.FrontmatterProc, front, address]}
        return [p for proc in super().base_procs() for p in ours.get(proc.__name__, [proc])]


def with_includes(page: str) -> str:
    "A page that consists of files of the repository, with their text; links as they are within nbs/."
    def included(m): return REPO.read(m[1]).replace("](nbs/", "](")
    return re.sub(r"\{\{< include \.\./(\S+) >\}\}", included, addressed(page))


def process(n_workers: int = 0) -> Path:
    "Process what has changed in nbs/ into _proc, notebooks and pages; everything, if it was last done in another way."
    nbdev.serve.FilterDefaults, place = Pages, REPO.root / "_proc"
    mark = place / ".processed"
    is_new = mark.exists() and mark.stat().st_mtime > Path(__file__).stat().st_mtime
    nbdev.serve.proc_nbs(n_workers=n_workers, force=place.exists() and not is_new)
    mark.touch()
    for page in (REPO.root / "nbs").glob("*.qmd"): (place / page.name).write_text(with_includes(page.read_text()))
    return place


if __name__ == "__main__":
    process()
    gc.freeze()  # at the end each shell of IPython collects garbage, which takes as long as all the pages
