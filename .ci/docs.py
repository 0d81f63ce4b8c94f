"Render the site into _docs: process the notebooks, make the published examples, run Quarto; ends with its warnings."
import shutil
import sys

from examples import update_examples
from pages import rendered
from processing import REPO, process

if __name__ == "__main__":
    place = process(n_workers=2)
    update_examples(REPO.root / ".cache/examples")
    shutil.copytree(REPO.root / ".cache/examples", place / "examples", dirs_exist_ok=True)
    shutil.rmtree(place / "_docs", ignore_errors=True)
    if problems := list(rendered(place)): sys.exit("\n".join(problems))
    shutil.rmtree(REPO.root / "_docs", ignore_errors=True)
    shutil.move(place / "_docs", REPO.root / "_docs")
