"""README and site without Quarto: pages are processed as nbdev does and read by pandoc, every link is resolved.

As a program it writes what is generated from index.ipynb and settings.ini: README.md and nbs/nbdev.yml.
"""
import html
import posixpath
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pypandoc
import yaml
from nbdev.quarto import refresh_quarto_yml
from repo import Notebook, Repo


def markdown(nb: Notebook, tables: str = "text/html") -> str:
    "The notebook as one page of markdown: prose, code that is shown, outputs."
    parts = []
    for cell in nb.cells:
        if cell.cell_type != "code": parts.append(cell.source)
        elif "hide" not in cell.flags:
            if "echo" not in cell.flags: parts.append("```python\n" + "\n".join(cell.lines) + "\n```")
            parts += [output(o, tables) for o in cell.outputs]
    return "\n\n".join(p.strip("\n") for p in parts if p.strip()) + "\n"


def output(o: dict, tables: str) -> str:
    "A stored output in markdown; pictures, which Quarto takes from the notebook itself, become nothing."
    data = {k: "".join(v) for k, v in o.get("data", {"text/plain": o.get("text", "")}).items()}
    if "text/markdown" in data: return data["text/markdown"]
    if "text/html" in data and tables == "text/html": return f"```{{=html}}\n{data['text/html']}\n```"
    text = "" if any(k.startswith("image/") for k in data) else data.get("text/plain", "").rstrip()
    return f"```text\n{text}\n```" if text else ""


def readme(repo: Repo) -> str:
    "README.md as nbs/index.ipynb has it, with links that start at the repository's root."
    def rebase(m): return m[1] + posixpath.normpath(posixpath.join("nbs", m[2]))
    parts = re.split(r"(?ms)(^```.*?^```$)", markdown(Notebook(repo.root / "nbs/index.ipynb"), tables="text/plain"))
    parts[::2] = [re.sub(r"(\]\()(?!\w+:|#)([^)\s]+)", rebase, prose) for prose in parts[::2]]
    return "".join(parts)


class Page:
    "A page as pandoc reads it, in each format that Quarto renders: warnings, targets, links."
    def __init__(self, text: str, form: str, formats: list[str]):
        pandoc = [pypandoc.get_pandoc_path(), "--from", form, "--mathml", "--fail-if-warnings", "--to"]
        runs = [subprocess.run([*pandoc, to], input=text, text=True, capture_output=True) for to in formats]
        self.warnings = [line for r in runs for line in r.stderr.splitlines() if "Failing because" not in line]
        self.ids = {html.unescape(i) for i in re.findall(r"\bid=[\"']([^\"']+)", runs[0].stdout)}
        self.links = sorted({html.unescape(u) for u in re.findall(r"\b(?:src|href)=[\"']([^\"']+)", runs[0].stdout)})


def site(repo: Repo):
    "Pages are processed and read without a warning; every link, anchor and picture has its target."
    with repo.copy() as copy:
        status, said = copy.run(sys.executable, "-c", "from nbdev.serve import proc_nbs; proc_nbs(n_workers=0)")
        if status or "imports and other code" in said: yield f"nbdev could not process the pages:\n{said[-2000:]}"
        variant = yaml.safe_load(copy.read("_quarto.yml"))["format"]["commonmark"]
        formats = ["html", "commonmark" + (variant.get("variant", "") if isinstance(variant, dict) else "")]
        books = [Notebook(p) for p in sorted((copy.root / "_proc").glob("*.ipynb"))]
        pages = {nb.name: Page(markdown(nb), "markdown", formats) for nb in books}
        html_pages = {f"{nb.stem}.html": pages[nb.name] for nb in books}
        for name, page in pages.items(): yield from problems(repo, name, page, pages | html_pages, copy.root / "_proc")
        if shutil.which("quarto"): yield from rendered(copy.root / "_proc")
    for name in repo.pages: yield from problems(repo, name, Page(repo.read(name), "gfm", ["html"]), {}, repo.root)


def problems(repo: Repo, name: str, page: Page, pages: dict, root: Path):
    "Warnings of `page`, and links without a target: another page, a file beside it or in the repository."
    yield from (f"{name}: {warning}" for warning in page.warnings)
    s = repo.settings
    home, source = f"{s['doc_host']}{s['doc_baseurl']}/", f"{s['git_url']}/blob/{s['branch']}/"
    for link in page.links:
        target, _, anchor = unquote(link.removeprefix(home).removeprefix(source)).partition("#")
        if re.match(r"[a-z]+:", target): continue  # the world outside is not asked
        base, there = repo.root if link.startswith(source) else root, pages.get(target) if target else page
        if not there and not (base / target).exists(): yield f"{name}: {link} leads to nothing"
        elif there and anchor and anchor not in there.ids:
            made = " (nbdev made it of a name in backticks: drop these, or add a cell with show_doc)"
            yield f"{name}: {link.removeprefix(home)} leads to no heading or name{made * link.startswith(home)}"


def rendered(proc: Path, quarto: str = "quarto"):
    "Quarto renders the site without a warning; it exits with 0 even when it warns."
    p = subprocess.run([quarto, "render", "--no-cache"], cwd=proc, text=True, capture_output=True)
    lines = [line for line in (p.stdout + p.stderr).splitlines() if re.search(r"\b(WARN|ERROR)", line)]
    yield from (f"quarto: {line}" for line in lines)
    if p.returncode and not lines: yield f"quarto render failed:\n{p.stderr[-2000:]}"


if __name__ == "__main__":
    repo = Repo(Path(__file__).parent.parent)
    (repo.root / "README.md").write_text(readme(repo), encoding="utf-8")
    refresh_quarto_yml()
