"Files that stand where an image should: whatever they are, they are named, in time."
import os
import tempfile
from pathlib import Path

from kit import attempt

from lympho.pictures import check_image


def strange(folder: Path):
    "Kinds of files that are no photographs, and their paths."
    names = dict(pipe="pipe.jpg", folder="folder.jpg", link="link.jpg", loop="loop.jpg", empty="empty.jpg")
    places = {kind: folder / name for kind, name in names.items()} | {"device": Path("/dev/zero")}
    os.mkfifo(places["pipe"])
    places["folder"].mkdir()
    places["link"].symlink_to("nonexistent.jpg")
    places["loop"].symlink_to("loop.jpg")
    places["empty"].touch()
    return places


def tries(scale):
    with tempfile.TemporaryDirectory() as d:
        for kind, file in strange(Path(d)).items():
            yield f"a {kind} as an image", attempt(lambda file=file: check_image(file) and "wrong answer: accepted")
