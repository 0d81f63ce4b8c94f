"The README and the site, checked without Quarto: pages are processed as nbdev does, parsed by pandoc, every target resolved."
import json
import os
import posixpath
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pypandoc
import yaml
from repo import Notebook, Repo

CROSSREF = re.compile(r"(fig|tbl|sec|eq|lst)-")


def markdown(nb: Notebook, html: bool = True) -> str:
    "The notebook as one page of markdown: prose, code that is shown, outputs; tables as HTML or as text."
    parts = []
    for cell in nb.cells:
        d = cell.directives
        if cell.kind != "code": parts.append(cell.source)
        elif "hide" in d or d.get("include") == ["false"]: continue
        else:
            code = "\n".join(s for s in cell.source.splitlines() if not s.startswith("#|"))
            if d.get("echo") != ["false"]: parts.append(f"```python\n{code}\n```")
            parts += [output(o, html) for o in cell.outputs]
            if "label" in d: parts.append(f"[]{{#{d['label'][0]}}}")  # what a cross-reference points to
    return "\n\n".join(p.strip("\n") for p in parts if p.strip()) + "\n"


def output(o: dict, html: bool) -> str:
    "A stored output in markdown; pictures, which Quarto takes from the notebook itself, become nothing."
    data = {k: "".join(v) for k, v in o.get("data", {}).items() if isinstance(v, (str, list))}
    if "text/markdown" in data: return data["text/markdown"]
    if "text/html" in data and html: return f"```{{=html}}\n{data['text/html']}\n```"
    if any(k.startswith("image/") for k in data): return ""
    text = data.get("text/plain", "".join(o.get("text", ""))).rstrip()
    return f"```text\n{text}\n```" if text else ""


def readme_text(repo: Repo) -> str:
    "README.md as nbs/index.ipynb has it, with links that start at the repository's root."
    text = markdown(Notebook(repo.root / "nbs/index.ipynb"), html=False)

    def rebase(m): return m[1] + posixpath.normpath(posixpath.join("nbs", m[2]))
    prose = re.split(r"(^```.*?^```$)", text, flags=re.M | re.S)
    prose[::2] = [re.sub(r"(\]\()(?!\w+:|#)([^)\s]+)", rebase, p) for p in prose[::2]]
    return "".join(prose)


def readme(repo: Repo):
    "README.md is what nbs/index.ipynb makes of it."
    if (repo.root / "README.md").read_text(encoding="utf-8") != readme_text(repo): yield "README.md is out of date; make readme"


def nbdev_yml(repo: Repo):
    "nbs/nbdev.yml is what nbdev makes of settings.ini."
    with repo.copy() as copy:
        said = python(copy, "from nbdev.quarto import refresh_quarto_yml; refresh_quarto_yml()")
        ours, fresh = repo.root / "nbs/nbdev.yml", copy / "nbs/nbdev.yml"
        if not ours.exists() or ours.read_bytes() != fresh.read_bytes():
            yield f"nbs/nbdev.yml is out of date; make readme {said}"


def site(repo: Repo):
    "Every page is processed and parsed without a warning; every link, anchor, picture and cross-reference has its target."
    with repo.copy() as copy:
        said = python(copy, "from nbdev.serve import proc_nbs; proc_nbs(n_workers=0)")
        proc = copy / "_proc"
        quarto = yaml.safe_load((proc / "_quarto.yml").read_text())
        commonmark = quarto["format"]["commonmark"]
        formats = "html", "commonmark" + (commonmark.get("variant", "") if isinstance(commonmark, dict) else "")  # as Quarto renders them
        pages = [Page.of_notebook(p, formats) for p in sorted(proc.glob("*.ipynb"))]
        missing = {nb.name for nb in repo.notebooks} - {p.path.name for p in pages}
        if said or missing: yield f"nbdev could not process {', '.join(sorted(missing)) or 'the pages'}:\n{said}"
        links = Links(repo, proc, pages)
        for page in pages: yield from (f"{page.path.name}: {p}" for p in [*page.warnings, *page.oddities(), *links.broken(page)])
        for name in [quarto["format"]["html"]["css"], *quarto["metadata-files"]]:
            if not (proc / name).exists(): yield f"_quarto.yml names {name}, which is not there"
        if shutil.which("quarto"): yield from rendered(proc)
    for name in (f for f in repo.files if "/" not in f and f.endswith(".md")):
        page = Page(repo.root / name, (repo.root / name).read_text(encoding="utf-8"), "gfm")
        yield from (f"{name}: {p}" for p in [*page.warnings, *Links(repo, repo.root, [page]).broken(page)])


def rendered(proc: Path, quarto: str = "quarto"):
    "Quarto renders the site without a warning; it exits with 0 even when it warns."
    p = subprocess.run([quarto, "render", "--no-cache"], cwd=proc, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines = [line for line in p.stdout.splitlines() if re.search(r"\b(WARN|ERROR)", line)]
    yield from (f"quarto: {line}" for line in lines)
    if p.returncode and not lines: yield f"quarto render failed:\n{p.stdout[-2000:]}"


def python(cwd: Path, code: str) -> str:
    "Run `code` in the copy `cwd`, which comes first on the path; give what it printed if it failed."
    p = subprocess.run([sys.executable, "-c", code], cwd=cwd, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, env={**os.environ, "PYTHONPATH": str(cwd)})
    return p.stdout[-3000:] if p.returncode else ""


class Page:
    "A page as pandoc reads it: its headings and other targets, its links, pictures and cross-references, its code."
    def __init__(self, path: Path, text: str, form: str = "markdown", formats=("html",)):
        self.path, self.ids, self.links, self.refs, self.code = path, set(), [], [], []
        pandoc = [pypandoc.get_pandoc_path(), "--from", form, "--fail-if-warnings"]
        # a pass for the warnings of each format (formulas are converted only here), one for the parsed page
        said = [subprocess.run([*pandoc, "--to", to, "--mathml"], input=text, text=True, capture_output=True).stderr for to in formats]
        self.warnings = [line for line in "".join(said).splitlines() if "Failing because" not in line]
        p = subprocess.run([*pandoc[:3], "--to", "json"], input=text, text=True, capture_output=True)
        self.visit(json.loads(p.stdout)["blocks"])

    @classmethod
    def of_notebook(cls, path: Path, formats): return cls(path, markdown(Notebook(path)), formats=formats)

    def visit(self, x):
        if isinstance(x, list):
            for y in x: self.visit(y)
        if not isinstance(x, dict): return
        kind, c = x.get("t"), x.get("c")
        attr = {"Header": lambda: c[1], "Div": lambda: c[0], "Span": lambda: c[0], "Image": lambda: c[0], "Figure": lambda: c[0],
                "CodeBlock": lambda: c[0], "Table": lambda: c[0], "Link": lambda: c[0]}.get(kind, lambda: [""])()
        if attr[0]: self.ids.add(attr[0])
        if kind in ("Link", "Image"): self.links.append(c[2][0])
        if kind == "Cite": self.refs += [r["citationId"] for r in c[0] if CROSSREF.match(r["citationId"])]
        if kind == "CodeBlock": self.code.append(c[1])
        if kind in ("RawBlock", "RawInline"):
            self.links += re.findall(r"\b(?:src|href)=[\"']([^\"']+)", c[1])
            self.ids |= set(re.findall(r"\bid=[\"']([^\"']+)", c[1]))
        self.visit(c)

    def oddities(self):
        "What pandoc accepts but a reader would stumble over."
        for name in dict.fromkeys(re.findall(r"\[(`[^`]+`)\]\(https?:", "\n".join(self.code))):
            yield f"{name} becomes a raw link in a signature; drop its backticks in the docment"


class Links:
    "Where the links of pages lead: to other pages, to files beside them, to the repository, or outside (not followed)."
    def __init__(self, repo: Repo, root: Path, pages: list[Page]):
        s = repo.settings
        self.repo, self.root = repo, root
        self.home = f"{s['doc_host']}{s['doc_baseurl']}/"
        self.source = f"{s['git_url']}/blob/{s['branch']}/"
        self.pages = {p.path.name: p for p in pages}
        self.pages |= {Notebook(p.path).stem + ".html": p for p in pages if p.path.suffix == ".ipynb"}

    def broken(self, page: Page):
        "Links, pictures and cross-references of `page` without a target."
        for ref in set(page.refs) - page.ids: yield f"@{ref} refers to nothing on this page"
        for link in dict.fromkeys(page.links):
            target, _, anchor = unquote(link.removeprefix(self.home)).partition("#")
            if link.startswith(self.source): target, root, anchor = target.removeprefix(self.source), self.repo.root, ""
            elif re.match(r"[a-z]+:", target): continue
            else: root = self.root
            there = self.pages.get(target) if target else page
            if not there and not (root / target).exists(): yield f"{link} leads to nothing"
            elif there and anchor and anchor not in there.ids:
                made = "; nbdev made it of a name in backticks: drop these, or add a cell with show_doc" if link.startswith(self.home) else ""
                yield f"{link.removeprefix(self.home)} leads to no heading or name of {there.path.name}{made}"


CHECKS = [readme, nbdev_yml, site]
