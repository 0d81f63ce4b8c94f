"""README and site without Quarto: pages are processed as nbdev does and read by pandoc, every link is resolved.

As a program it writes what is generated from index.ipynb and settings.ini: README.md, nbs/nbdev.yml, and the address
in the notebooks that can be opened elsewhere.
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
from examples import EXAMPLES
from nbdev.quarto import refresh_quarto_yml
from repo import ADDRESS, Notebook, Repo


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
    "README.md as nbs/index.ipynb has it, with links that start at the repository's root; the examples are on the site."
    def rebase(m):
        if m[2].startswith("examples/"): return m[1] + repo.home + m[2]
        return m[1] + posixpath.normpath(posixpath.join("nbs", m[2]))
    text = markdown(Notebook(repo.root / "nbs/index.ipynb"), tables="text/plain")
    title, sentence, rest = text.replace(ADDRESS, repo.settings["git_url"]).split("\n\n", 2)
    parts = re.split(r"(?ms)(^```.*?^```$)", "\n\n".join([title, badges(repo), sentence, rest]))
    parts[::2] = [re.sub(r"(\]\()(?!\w+:|#)([^)\s]+)", rebase, prose) for prose in parts[::2]]
    return "".join(parts)


def badges(repo: Repo) -> str:
    "The site, and the first tutorial on Colab and Kaggle."
    colab, kaggle = repo.opened("80_first_model.ipynb")
    return (f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab}) "
            f"[![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)]({kaggle}) "
            f"[Documentation]({repo.home})")


class Page:
    "A page as pandoc reads it: warnings, targets, links."
    def __init__(self, text: str, form: str):
        how = ["--mathml", "--syntax-highlighting=none", "--fail-if-warnings"]  # colours take nine tenths of the time
        pandoc = [pypandoc.get_pandoc_path(), "--from", form, *how, "--to", "html"]
        run = subprocess.run(pandoc, input=text, text=True, capture_output=True)
        self.warnings = [line for line in run.stderr.splitlines() if "Failing because" not in line]
        self.ids = {html.unescape(i) for i in re.findall(r"\bid=[\"']([^\"']+)", run.stdout)}
        self.links = sorted({html.unescape(u) for u in re.findall(r"\b(?:src|href)=[\"']([^\"']+)", run.stdout)})


def site(repo: Repo):
    "Pages are processed and read without a warning; every link, anchor and picture has its target."
    with repo.copy() as copy:
        status, said = copy.run(sys.executable, ".ci/processing.py")
        if status or "imports and other code" in said: yield f"nbdev could not process the pages:\n{said[-2000:]}"
        texts = {p.name: markdown(Notebook(p)) for p in sorted((copy.root / "_proc").glob("*.ipynb"))}
        texts |= {p.name: p.read_text(encoding="utf-8") for p in sorted((copy.root / "_proc").glob("*.qmd"))}
        pages = {name: Page(text, "markdown") for name, text in texts.items()}
        html_pages = {re.sub(r"^\d\d[a-z]?_|\.\w+$", "", name) + ".html": page for name, page in pages.items()}
        for name, page in pages.items(): yield from problems(repo, name, page, pages | html_pages, copy.root / "_proc")
        if shutil.which("quarto"): yield from rendered(copy.root / "_proc")
    for name in repo.pages: yield from problems(repo, name, Page(repo.read(name), "gfm"), {}, repo.root)


def problems(repo: Repo, name: str, page: Page, pages: dict, root: Path):
    "Warnings of `page`, and links without a target: another page, a file beside it or in the repository."
    yield from (f"{name}: {warning}" for warning in page.warnings)
    s = repo.settings
    home, source = f"{s['doc_host']}{s['doc_baseurl']}/", f"{s['git_url']}/blob/{s['branch']}/"
    for link in page.links:
        target, _, anchor = unquote(link.removeprefix(home).removeprefix(source)).partition("#")
        if re.match(r"[a-z]+:", target): continue  # the world outside is not asked
        if target.removeprefix("examples/") in EXAMPLES: continue  # make docs writes them
        base, there = repo.root if link.startswith(source) else root, pages.get(target) if target else page
        if not there and not (base / target).exists(): yield f"{name}: {link} leads to nothing"
        elif there and anchor and anchor not in there.ids:
            made = "if it was made of a name in backticks, drop these or add a cell with show_doc"
            yield f"{name}: {link.removeprefix(home)} leads to no heading or name; {made}"


def rendered(proc: Path, quarto: str = "quarto"):
    "Quarto renders the site without a warning; it exits with 0 even when it warns."
    p = subprocess.run([quarto, "render", "--no-cache"], cwd=proc, text=True, capture_output=True)
    lines = [line for line in (p.stdout + p.stderr).splitlines() if re.search(r"\b(WARN|ERROR)", line)]
    yield from (f"quarto: {line}" for line in lines)
    if p.returncode and not lines: yield f"quarto render failed:\n{p.stderr[-2000:]}"


if __name__ == "__main__":
    repo = Repo(Path(__file__).parent.parent)
    for path in sorted((repo.root / "nbs").glob("*.ipynb")):  # the cell that installs the package elsewhere
        text = path.read_text(encoding="utf-8")
        mended = re.sub(r"pip install -q git\+[^\s\"\\]+", f"pip install -q git+{repo.settings['git_url']}", text)
        if mended != text: path.write_text(mended, encoding="utf-8")
    (repo.root / "README.md").write_text(readme(repo), encoding="utf-8")
    refresh_quarto_yml()
