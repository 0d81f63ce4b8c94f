"Print what names the environment that is needed: digests of the place and of what is installed, and the interpreter."
import hashlib
import os
import sys

if sys.version_info < (3, 10):
    sys.exit("lympho needs Python 3.10 or later, this is %d.%d: make ... PYTHON=python3.12" % sys.version_info[:2])


def digest(*parts): return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def content(path):
    with open(path, "rb") as f: return f.read()


print(digest(sys.version.encode(), sys.base_prefix.encode(), os.getcwd().encode()),
      digest(*[content(f) for f in ("constraints.txt", "settings.ini", "setup.py")]),
      getattr(sys, "_base_executable", None) or sys.executable)  # not that of .venv, which may be made anew
