"Write what is generated from notebooks and settings for readers: README.md and nbs/nbdev.yml."
from pathlib import Path

from nbdev.quarto import refresh_quarto_yml
from pages import readme_text
from repo import Repo

repo = Repo(Path(__file__).parent.parent)
(repo.root / "README.md").write_text(readme_text(repo), encoding="utf-8")
refresh_quarto_yml()
