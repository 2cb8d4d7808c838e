"""Start of the command line and of workers: this project's packages, whose names are generic, before others.

A folder `models` or `jobs` in the working directory or on PYTHONPATH would otherwise be imported in their place. The
import of this module puts them first, so that Ray's workers, which can import modules at their start, need no more.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import signal
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

PACKAGES = ("jobs", "pipelines", "stages", "models")
_OBJECTS_PER_COLLECTION = 50_000
ROOT = Path(__file__).resolve().parent


class OwnPackages:
    """Finder of the packages of this project, beside this file, for `sys.meta_path`."""

    @classmethod
    def find_spec(
        cls, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Spec of a package of this project; None for any other module."""
        own = path is None and fullname in PACKAGES
        return PathFinder.find_spec(fullname, [str(ROOT)], target) if own else None


def put_first() -> None:
    """Give the packages of this project precedence over others of the same names.

    Raises:
        ImportError: another one has already been imported.
    """
    for name in PACKAGES:
        module = sys.modules.get(name)
        if module is not None and ROOT not in Path(module.__file__ or "/").resolve().parents:
            raise ImportError(
                f"{name} was imported from {module.__file__ or module.__spec__}, expected {ROOT / name}: this process "
                f"uses another package of that name; start zoetrope in a process of its own, by its command"
            )
    if OwnPackages not in sys.meta_path:
        sys.meta_path.insert(0, OwnPackages)
        # Decoders and watchdogs, processes of their own, inherit the path alone.
        sys.path.insert(0, str(ROOT))


put_first()


def main() -> None:
    """Run the command line.

    Until `jobs.cli.interrupts` handles signals, while the imports run, Ctrl-C ends the process without a traceback.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Collections while libraries of thousands of modules are imported find nothing and take a fifth of the time.
    gc.set_threshold(_OBJECTS_PER_COLLECTION, *gc.get_threshold()[1:])
    ending = _Ending()
    from jobs.cli.main import main as run

    try:
        run()
    except SystemExit as end:
        ending.exit_code = end.code if isinstance(end.code, int) else int(end.code is not None)
        raise


class _Ending:
    """Ends the process after its last handler of `atexit`: the interpreter would spend a second on freeing modules."""

    def __init__(self) -> None:
        self.exit_code = 1
        atexit.register(self._end)  # before all others, which run in reverse order

    def _end(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # a closed pipe, which the interpreter reports
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(self.exit_code)


if __name__ == "__main__":
    main()
