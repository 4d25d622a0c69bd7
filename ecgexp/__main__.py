"""The console script: find the verb, print errors as one message, set the exit code."""

from __future__ import annotations

import importlib
import signal
import sys
from types import FrameType

from ecgexp import __version__
from ecgexp.errors import EcgexpError

VERBS = {
    "run": "train, quantize, compile and measure: one MLflow run (-m sweeps)",
    "search": "find configurations with Optuna: trials of one study, any number of workers",
    "deploy": "measure an old run, or any ONNX classifier, on a target",
    "export": "write a C library of an old run, or any ONNX classifier, for other firmware",
    "select": "list the runs that meet a condition, Pareto front marked",
    "predict": "label a folder of recordings with the network of a run",
    "gather": "folds or seeds as one figure with its interval",
    "compare": "set runs side by side: configuration, figures, layers, confusion matrices",
    "promote": "register a run's model under an alias, with its figures and C library",
    "sync": "send what runs kept while their MLflow server did not answer",
    "ui": "open MLflow on the store, at the experiment",
    "data": "download or inspect recordings",
    "doctor": "list tools and libraries, and what stops working without them",
}
INTERRUPTED = 130


def usage() -> str:
    """Return the text of `ecgexp --help`."""
    lines = [f"  {verb:<8} {text}" for verb, text in VERBS.items()]
    return "\n".join(
        [
            f"ecgexp {__version__}: from ECG recordings to a measured firmware image",
            "",
            "usage: ecgexp VERB [options] [key=value ...]",
            "",
            *lines,
            "",
            "ecgexp VERB --help tells more; ecgexp run --cfg job prints the configuration.",
        ]
    )


def main(argv: list[str] | None = None) -> int:
    """Run one verb.

    Args:
        argv: Words after the program name; those of this process by default.

    Returns:
        0 when all went well, 2 for an answered error, 130 for an interruption.
    """
    words = sys.argv[1:] if argv is None else argv
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(usage() + "\n")
        return 0
    if words[0] == "--version":
        sys.stdout.write(__version__ + "\n")
        return 0
    verb, *rest = words
    if verb not in VERBS:
        sys.stderr.write(f"error: unknown verb {verb!r}; there are {', '.join(VERBS)}\n")
        return 2
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = int(importlib.import_module(f"ecgexp.cli.{verb}").main(rest))
        return _interrupted() if code == INTERRUPTED else code
    except EcgexpError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return _interrupted()
    except BrokenPipeError:
        return 1


def _interrupted() -> int:
    """Return the exit status of an interruption, and see that the process ends with it.

    `python -m ecgexp` ends by SIGINT, whatever status it is given, when the interrupt has met an
    `exec` of a text on its way, as imports of dataclasses have; CPython forgets it with the next.
    """
    exec("")
    return INTERRUPTED


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """Treat a polite kill like Ctrl-C, so that no run is left RUNNING."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
