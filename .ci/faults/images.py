"""Damaged images, and what stands where an image should: each is named, in time, or its pixels are those that it had.

A wrong answer is an image that is taken though the crop that a model reads has visibly other colours. Two kinds of
damage are not among the tries, because no decoder can see them: the first bits of a scan, which make the whole picture
lighter or darker, and the bytes of pixels that are kept as they are, as BMP does.
"""
import io
import os
import random
import tempfile
from pathlib import Path

import numpy as np
from kit import attempt, count
from PIL import Image

from lympho.core import derive_seed
from lympho.pictures import _look_at, check_image, decode_image, read_pictures

CROP, VISIBLE, LATER = 112, 9, 512  # pixels; mean difference of 255; bytes of a scan that are left alone
JPEGS = [dict(quality=95), dict(quality=75, subsampling=0), dict(quality=90, progressive=True), dict(optimize=True),
         dict(quality=85, restart_marker_rows=1)]
OTHERS = {"PNG": {}, "WEBP": dict(lossless=True), "TIFF": dict(compression="tiff_lzw"), "BMP": {}}


def photographs(n: int) -> list[Image.Image]:
    "Synthetic cells on a pale ground, each another one."
    found, (y, x) = [], np.mgrid[:224, :224] - 111.5
    for seed in range(n):
        g = np.random.default_rng(seed)
        pale, dark = g.uniform([215, 205, 210], [235, 225, 235]), g.uniform([80, 40, 110], [120, 80, 150])
        r = np.hypot(*(np.stack([y, x]) - g.uniform(-12, 12, (2, 1, 1))))
        r += 4*np.sin(np.arctan2(y, x)*3 + g.uniform(0, 6))
        inside = 1/(1 + np.exp((r - g.uniform(35, 55))/2))
        grain = g.normal(0, 6, (56, 56)).repeat(4, 0).repeat(4, 1) + g.normal(0, 2, (224, 224))
        colours = pale + (dark - pale)*inside[..., None] + grain[..., None]*(.3 + inside[..., None])
        found.append(Image.fromarray(colours.clip(0, 255).astype(np.uint8)))
    return found


def encoded(image: Image.Image, form: str, **options) -> bytes:
    image.save(b := io.BytesIO(), form, **options)
    return b.getvalue()


def damaged(data: bytes, r: random.Random, start: int) -> tuple[str, bytes]:
    "The content of a file with one fault behind `start`, and its kind."
    b, n = bytearray(data), len(data)
    at, size = r.randrange(start, n - 2), r.choice([1, 2, 16, 64, 512])
    kind = r.choice("bit byte zeros cut ended swap insert delete repeat".split())
    if kind == "bit": b[at] ^= 1 << r.randrange(8)
    elif kind == "byte": b[at] = r.randrange(256)
    elif kind == "zeros": b[at:at + size] = bytes(len(b[at:at + size]))
    elif kind == "cut": del b[at:]
    elif kind == "ended": b[at:] = b"\xff\xd9"
    elif kind == "swap":
        other = r.randrange(start, max(start + 1, n - size))
        b[at:at + size], b[other:other + size] = b[other:other + size], b[at:at + size]
    elif kind == "insert": b[at:at] = r.randbytes(size)
    elif kind == "delete": del b[at:at + size]
    elif kind == "repeat": b[at:at] = b[max(start, at - size):at]
    return kind, bytes(b)


def centre(image: Image.Image) -> np.ndarray:
    x = np.asarray(image).astype(int)
    top, left = ((side - CROP)//2 for side in x.shape[:2])
    return x[top:top + CROP, left:left + CROP]


def taken(data: bytes, whole: np.ndarray | None) -> str:
    "Held where an image is taken with the crop `whole`, or with any if that is None."
    _look_at(data)
    if whole is None: return "held"
    off = np.abs(centre(decode_image(data)) - whole).mean() if min(decode_image(data).size) >= CROP else 255
    return "held" if off <= VISIBLE else f"wrong answer: a crop with a mean difference of {off:.1f} is taken"


def jpeg_tries(n: int, images: list[Image.Image]):
    "Faults in the headers and in the scans of JPEGs."
    r = random.Random(derive_seed(0, "jpeg"))
    for i in range(n):
        options = r.choice(JPEGS)
        data = encoded(r.choice(images), "JPEG", **options)
        whole, scan = centre(decode_image(data)), data.index(b"\xff\xda")
        is_header = i % 5 == 0
        kind, bad = damaged(data[:scan], r, 2) if is_header else damaged(data, r, scan + LATER)
        if is_header: bad += data[scan:]
        place = "header" if is_header else "scan"
        yield f"JPEG, {place}: {kind}", attempt(lambda bad=bad, whole=whole: taken(bad, whole))


def other_tries(n: int, images: list[Image.Image]):
    "Faults anywhere in images of the other formats."
    r = random.Random(derive_seed(0, "others"))
    for i in range(n):
        form, options = list(OTHERS.items())[i % len(OTHERS)]
        kind, bad = damaged(encoded(r.choice(images), form, **options), r, 2)
        yield f"{form}: any fault", attempt(lambda bad=bad: taken(bad, None))


def strange(folder: Path) -> dict[str, Path]:
    "Kinds of files that are no photographs, and their paths."
    places = {name: folder/f"{name}.jpg" for name in "pipe folder link loop empty sparse narrow scans".split()}
    os.mkfifo(places["pipe"])
    places["folder"].mkdir()
    places["link"].symlink_to("nonexistent.jpg")
    places["loop"].symlink_to("loop.jpg")
    places["empty"].touch()
    with places["sparse"].open("wb") as f: f.truncate(60*10**9)
    places["narrow"].write_bytes(encoded(Image.new("RGB", (1, 300)), "JPEG"))
    places["scans"].write_bytes(many_scans(3010))
    return places | {"device": Path("/dev/zero")}


def many_scans(n: int) -> bytes:
    "A progressive JPEG whose last scan stands there `n` times."
    data = encoded(photographs(1)[0].resize((1024, 1024)), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2]*n + data[-2:]


def strange_tries(images: list[Image.Image]):
    "Each strange file alone, then all of them beside a good one."
    with tempfile.TemporaryDirectory() as d:
        os.environ["LYMPHO_CACHE"] = f"{d}/cache"
        places = strange(Path(d))
        for kind, file in places.items():
            yield f"in place of an image: {kind}", attempt(lambda file=file: f"wrong answer: {check_image(file)}", 5)
        (Path(d)/"good.png").write_bytes(encoded(images[0], "PNG"))
        names = ["good.png", *(str(p) for p in places.values())]
        def together():
            (good, error), *others = read_pictures(d, names)
            if error or not good.pixels: return f"loss: the good image ({error})"
            return "held" if all(e for _, e in others) else "loss: a bad image that is not named"
        yield "a good image among bad ones", attempt(together)


def tries(scale):
    images = photographs(6)
    yield from strange_tries(images)
    yield from jpeg_tries(count(3000, scale), images)
    yield from other_tries(count(1000, scale), images)
