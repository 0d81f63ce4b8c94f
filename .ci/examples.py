"The published examples of the site, of the synthetic cohort: report, card, and pages of patients."
import shutil
import tempfile
from pathlib import Path

from repo import Repo

REPO = Repo(Path(__file__).parent.parent)
EXAMPLES = ["report.html", "card.html", "patient.html", "referred.html"]


def write_examples(folder: Path, jobs: int = -1):
    "Evaluate the default recipe on the synthetic cohort as `lympho demo` does, fit it, and show two of its patients."
    from lympho.core import write_text
    from lympho.crossval import crossval
    from lympho.fitting import fit
    from lympho.patient import patient_page
    from lympho.recipes import DEFAULT_RECIPE, RECIPES, find_recipe
    from lympho.report import clinical_runs
    from lympho.synthetic import default_cohort
    cohort, recipe = default_cohort(), find_recipe(DEFAULT_RECIPE)
    with tempfile.TemporaryDirectory(prefix="lympho-") as work:
        work = Path(work)
        run = crossval(cohort, recipe, work / "run", jobs)
        others = clinical_runs(run, [r.name for r in RECIPES.values() if r.family == "clinical"], work, jobs)
        run.report(work / "report.html", others=others, n_jobs=jobs, pages=True)
        model = fit(cohort, recipe, n_jobs=jobs, folder=work / "fit")
        decisions = model.predict(cohort, run.predictions.patient.unique().tolist()).set_index("patient").decision
        is_referred = decisions == "refer"
        for name, some in {"patient": decisions[~is_referred], "referred": decisions[is_referred]}.items():
            patient = next(p for p in some.index if not model.held_out(cohort, p).ignores_images)
            write_text(work / f"{name}.html", patient_page(model, cohort, patient))
        folder.mkdir(parents=True, exist_ok=True)
        for name in EXAMPLES: shutil.copy2(work / name, folder / name)
        shutil.rmtree(folder / "patients", ignore_errors=True)
        shutil.copytree(work / "patients", folder / "patients")


def update_examples(folder: Path):
    "Write the examples, unless they are there and no module is newer."
    made = min(p.stat().st_mtime if p.exists() else 0 for p in (folder / name for name in EXAMPLES))
    changed = max(p.stat().st_mtime for p in (REPO.root / REPO.lib).glob("*.py"))
    if made < changed: write_examples(folder)
