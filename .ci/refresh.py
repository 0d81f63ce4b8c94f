"""Run notebooks from top to bottom, as nbdev_test does, and store their outputs: refresh.py [OPTIONS] NOTEBOOK ...

With the flag `data` a notebook runs twice: on the synthetic cohort, and on the one that LYMPHO_DATA names. From the
second run only the outputs of cells that carry the flag are stored: nothing of a real patient comes into another cell.

--compare stores nothing and fails where a cell without a flag gives another output than the stored one. Timings and
addresses of memory are masked, and digests, because pixels and weights differ in their last bits from one kind of
processor to another. Words and whole numbers must be equal; decimals, which come from training, near (a note says
where they differ at all); of pictures, the kind and, nearly, the size. A cell whose timing cannot be told from other
numbers carries `#| timing` and is not compared.
"""
import argparse
import os
import re
import struct
import sys
from base64 import b64decode, b64encode
from io import BytesIO
from itertools import zip_longest
from pathlib import Path

from execnb.nbio import read_nb, write_nb
from execnb.shell import CaptureShell
from fastcore.all import working_directory
from nbdev.clean import clean_nb, nbdev_clean
from nbdev.config import get_config
from nbdev.process import NBProcessor
from PIL import Image

UNIT = r"(?:[mµu]?s|min|sec(?:ond)?s?|minutes?|(?:images|it|cells)(?:/s| (?:a|per) second))\b"
MASKS = {r"0x[0-9a-f]{6,}": "ADDRESS", r"\b[0-9a-f]{16}\b": "DIGEST",
         rf"\d[\d.,]*(?:e[-+]?\d+)?\s?{UNIT}|\b\d+:\d\d(?::\d\d)?\b": "TIMING",
         r"\s+": " ", r"([-=─━])\1+": r"\1"}  # the last two: widths of columns
NUMBER = r"((?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?(?!\w))"


def flags_of(cell) -> set[str]: return set(getattr(cell, "directives_", None) or {})


def run(path: Path, skip: set[str], figures: str = "retina"):
    "The notebook at `path`, run but for cells with a flag in `skip`; ends with a traceback at the first error."
    nb, shell = NBProcessor(path, rm_directives=False).nb, CaptureShell(path, mpl_format=figures)

    def left_alone(cell):
        if cell.cell_type != "code" or skip & flags_of(cell): return True
        cell.outputs = []

    def stop_at_error(cell):
        if shell.exc: sys.exit(f"{shell.prettytb(path.name)}\n{cell.source}")

    with working_directory(path.parent): shell.run_all(nb, preproc=left_alone, postproc=stop_at_error)
    return nb


def refresh(path: Path, flags: set[str], skip: set[str]):
    "Store the outputs of the notebook at `path`, keeping those of cells that are not run."
    data = os.environ.pop("LYMPHO_DATA", None)
    nb = run(path, (skip - flags) | {"data"})
    if "data" in flags and any("data" in flags_of(c) for c in nb.cells):
        if not data: sys.exit("refresh.py: the flag data needs LYMPHO_DATA, the folder of a real cohort")
        os.environ["LYMPHO_DATA"] = data
        for cell, real in zip(nb.cells, run(path, skip - flags).cells):
            if "data" in flags_of(cell): cell.outputs = real.outputs
    for data in (o.get("data", {}) for c in nb.cells for o in c.get("outputs", [])):
        if "image/png" in data: data["image/png"] = pack("".join(data["image/png"]))
    write_nb(nb, path)
    nbdev_clean.__wrapped__(fname=path)
    print(path)


def compare(path: Path, flags: set[str], skip: set[str]):
    "Run the notebook at `path`; exit with what is stale. On a real cohort every output is another one: it only runs."
    stored, fresh, stale, moved = read_nb(path), run(path, skip - flags, "png"), [], []
    if "data" in flags: return
    for nb in (stored, fresh): clean_nb(nb)
    for old, new in zip(stored.cells, fresh.cells):
        if old.cell_type != "code" or flags_of(new) & (skip | {"timing"}): continue
        pieces = [(a, b) for a, b in zip_longest(shown(old), shown(new), fillvalue="nothing") if a != b]
        far = [f"`{a}` is stored, `{b}` comes" for a, b in pieces if not near(a, b)]
        if far: stale.append(f"{path.name}: cell {old.id} is stale: {far[0]}; make refresh NB=nbs/{path.name}")
        elif pieces: moved.append(old.id)
    if moved: print(f"note: decimals a little other than the stored ones in the cells {', '.join(moved)}")
    if stale: sys.exit("\n".join(stale))


def shown(cell) -> list[str]:
    "What a cell shows, cut at its numbers: kinds and contents of outputs; what was printed in pieces is one."
    parts = []
    for o in cell.outputs:
        for kind, value in sorted(o.get("data", {o.get("name"): o.get("text", "")}).items()):
            text = "".join(value)
            if kind == "image/png": text = "{}e-2 x {}e-2".format(*size_of(o, text))
            if parts[-2:-1] != [kind] or kind != "stdout": parts += [kind, ""]
            parts[-1] += text
    for i, text in enumerate(parts):
        for pattern, name in MASKS.items(): text = re.sub(pattern, name, text)
        parts[i] = text
    return [piece.strip() for text in parts for piece in re.split(NUMBER, text) if piece.strip()]


def size_of(o: dict, png: str) -> tuple[int, int]:
    "Width and height of a figure; it may be drawn with twice as many pixels."
    shown = o.get("metadata", {}).get("image/png")
    return (shown["width"], shown["height"]) if shown else struct.unpack(">II", b64decode(png)[16:24])


def pack(png: str) -> str:
    "A figure with 256 colours, which takes a third of the space."
    picture, packed = Image.open(BytesIO(b64decode(png))).convert("RGBA"), BytesIO()
    opaque = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    opaque.quantize(256, dither=Image.Dither.NONE).save(packed, "png", optimize=True)
    return b64encode(packed.getvalue()).decode()


def near(a: str, b: str) -> bool:
    "Are two pieces numbers, not both whole, that differ by at most a half, or a half of the larger?"
    if not (re.fullmatch(NUMBER, a) and re.fullmatch(NUMBER, b) and re.search("[.e]", a + b)): return False
    return abs(float(a) - float(b)) <= .5 * max(1, abs(float(a)), abs(float(b)))


def main(words: list[str] | None = None):
    "Read the command line, or `words`, and do as it says."
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compare", action="store_true", help="store nothing; fail where a stored output is stale")
    parser.add_argument("--flags", default="", help="flagged cells to run too, e.g. 'data slow'")
    parser.add_argument("notebooks", nargs="+", type=Path)
    args = parser.parse_args(words)
    os.environ |= {"IN_TEST": "1", "TQDM_DISABLE": "1"}
    sys.path.insert(0, str(get_config().config_path))
    flags, skip = set(args.flags.split()), set(get_config().tst_flags.split())
    for path in args.notebooks: (compare if args.compare else refresh)(path.resolve(), flags, skip)


if __name__ == "__main__": main()
