"""Damaged tables of attributes: each is read with the values that it states, or what cannot be read is named, in time.

A wrong answer is a value that a damaged field did not state: another number, label or sex than that of the field as it
stands in the file. A loss is a row that is neither read nor named.
"""
import random
import tempfile
from pathlib import Path

import pandas as pd
from kit import attempt, count

from lympho.attributes import Problem, parse_age, parse_count, parse_label, parse_sex, read_patients
from lympho.core import LymphoError, derive_seed

HEADER = ["patient", "label", "sex", "age", "count"]
VALUES = ["", " ", "NA", "-", "0", "-1", "1e-320", "1e400", "1900", "1_000", "1,5", "1.5", "²", "٣", "½", "nan", "inf",
          "0x1", "=1+1", "@x", "'", '"', "\x00", "\x1b[31m", "\u202e", "\xa0", "F", "tumoral", "1 000", "<5", "9"*400,
          "P1", "../P1", "a\nb"]
BYTES = [b"\x00", b"\xff", b"\xef\xbb\xbf", b"\r", b"\n", b'"', b",", b";", b"\t", b"\xe9", b"\xc3"]
PARSERS = dict(label=parse_label, sex=parse_sex, age=parse_age, count=parse_count)


def table(r: random.Random, n: int = 6) -> list[list[str]]:
    return [HEADER[:]] + [[f"P{i}", str(r.randrange(2)), r.choice("FM"), str(r.randrange(20, 90)),
                           f"{r.uniform(4, 200):.2f}"] for i in range(n)]


def written(rows: list[list[str]]) -> bytes:
    def field(text): return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\n\r') else text
    return "\n".join(",".join(map(field, row)) for row in rows).encode(errors="replace") + b"\n"


def by_field(rows, r):
    "One value is another one."
    rows[r.randrange(1, len(rows))][r.randrange(5)] = r.choice(VALUES)


def by_shape(rows, r):
    "Columns or rows are moved, doubled, emptied or cut."
    at, kind = r.randrange(len(rows)), r.randrange(6)
    column = r.randrange(min(map(len, rows)))
    if kind == 0: rows[at].append(r.choice(VALUES))
    elif kind == 1: del rows[at][column]
    elif kind == 2: rows.append(rows[at][:])
    elif kind == 3: rows[:] = [row + [""]*3 for row in rows]
    elif kind == 4: rows[:] = [row + [row[column]] for row in rows]
    else: rows[0][column] = r.choice([*VALUES, *HEADER, "Age", "ID"])


def stated(rows, found, problems) -> str:
    "Held where every row is read as it states, or named."
    cohort = any(p.severity == "cohort" for p in problems)
    if cohort: return "named"
    named = {(p.patient, p.severity) for p in problems}
    read = {p.patient: p for p in found.itertuples()}
    for row in rows[1:]:
        record = dict(zip([c.strip() for c in rows[0]], row))
        who = record.get("patient", "").strip()
        if who not in read and not any(p == who for p, _ in named): return f"loss: {who!r} is neither read nor named"
        if (who, "patient") in named or who not in read: continue
        for name, parse in PARSERS.items():
            if name not in record: continue
            try: value = parse(record[name])
            except LymphoError: value = None
            got = getattr(read[who], name)
            same = pd.isna(got) if value is None else not pd.isna(got) and got == value
            if not same: return f"wrong answer: {name} {record[name]!r} of {who} is read as {got!r}"
    return "named" if named - {("", "note")} else "held"


def readable(problems: list[Problem]):
    if any(not p.problem or not p.remedy for p in problems): raise ValueError("a problem without a remedy")


def by_row(folder: Path, r: random.Random, change) -> str:
    rows = table(r)
    for _ in range(r.randrange(1, 3)): change(rows, r)
    (folder/"patients.csv").write_bytes(written(rows))
    found, problems = read_patients(folder)
    readable(problems)
    return stated(rows, found, problems)


def by_byte(folder: Path, r: random.Random) -> str:
    data = bytearray(written(table(r)))
    for _ in range(r.randrange(1, 4)):
        at = r.randrange(len(data))
        data[at:at + r.randrange(2)] = r.choice([*BYTES, bytes([r.randrange(256)])])
    (folder/"patients.csv").write_bytes(data)
    found, problems = read_patients(folder)
    readable(problems)
    return "named" if problems else "held"


def large(folder: Path):
    "Tables that are large in one way, and how many seconds each may take."
    head, end = ",".join(HEADER), "P1,0,F,50,9"
    yield "a million columns", 20, lambda f: f.write_text(f"{head}{',c'*10**6}\n{end}{','*10**6}\n")
    yield "a million fields in a row", 20, lambda f: f.write_text(f"{head}\n{end}{','*10**6}\n")
    yield "a name of ten million letters", 20, lambda f: f.write_text(f"{'a'*10**7},{head}\n{end}\n")
    yield "sixty billion bytes", 5, lambda f: sparse(f)


def sparse(file: Path):
    with file.open("wb") as f: f.truncate(60*10**9)


def tries(scale):
    r = random.Random(derive_seed(0, "tables"))
    with tempfile.TemporaryDirectory() as d:
        folder = Path(d)
        for kind, seconds, write in large(folder):
            write(folder/"patients.csv")
            def read():
                readable(read_patients(folder)[1])
            yield f"large: {kind}", attempt(read, seconds)
        kinds = {"a value": lambda: by_row(folder, r, by_field), "the shape": lambda: by_row(folder, r, by_shape),
                 "bytes": lambda: by_byte(folder, r)}
        for kind, call in kinds.items():
            for _ in range(count(1700, scale)): yield f"changed: {kind}", attempt(call, 10)
