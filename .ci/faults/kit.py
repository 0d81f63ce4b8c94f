"What the modules of tries share: how a try is run, how long it may take, and what its outcome is called."
import signal
from collections.abc import Callable
from contextlib import contextmanager

from lympho.core import LymphoError

OUTCOMES = ["named", "held", "internal error", "hang", "loss", "wrong answer"]
SHORT = .04  # share of the tries that `--short` makes


class Hang(BaseException):
    "A try takes longer than it may. No `except Exception` of the program catches it."


@contextmanager
def limit(seconds: float):
    "Raise `Hang` in the block, of the main thread, once it has taken so many seconds."
    def stop(*_): raise Hang(f"longer than {seconds} s")

    old = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try: yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def attempt(call: Callable, seconds: float = 20) -> str:
    "The outcome of `call()`: what it returns, or held; named where it raises a `LymphoError`, one line with a remedy."
    try:
        with limit(seconds): return call() or "held"
    except LymphoError as e:
        if e.problem and e.remedy and len(str(e).splitlines()) == 1: return "named"
        return f"internal error: a message of several lines, or without a remedy: {str(e)[:200]!r}"
    except Hang as e: return f"hang: {e}"
    except (KeyboardInterrupt, SystemExit): raise
    except BaseException as e: return f"internal error: {type(e).__name__}: {str(e)[:200]}"


def count(full: int, scale: float) -> int:
    "How many of `full` tries are made at this scale."
    return max(1, round(full * scale))
