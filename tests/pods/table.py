"""How far losses of several processes are from those of one, for every experiment that trains.

    python tests/pods/table.py [NAME ...]

The trainings of `small_runs.py` are made by 1, 2 and 4 processes of 1 and 2 virtual devices each. A
row has, for each of these, the largest relative difference of a logged number from that of one
process and one device. docs/pods.md holds the table."""

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import conftest  # noqa: E402, F401  # the flags of XLA
from small_runs import RUNS, largest_difference, train  # noqa: E402

CELLS = [(processes, devices) for processes in (1, 2, 4) for devices in (1, 2)]


def main(names: list[str]) -> None:
    """Train in every cell and print the differences."""
    with tempfile.TemporaryDirectory() as folder:
        for processes, devices in CELLS:
            began = time.perf_counter()
            workdir = Path(folder) / f"{processes}x{devices}"
            train(names, workdir, processes, devices, seconds=3600)
            seconds = time.perf_counter() - began
            print(f"{processes} processes of {devices} devices: {seconds:.0f} s", flush=True)
            for name in names:
                difference, worst = largest_difference(Path(folder) / "1x1" / name, workdir / name)
                print(f"    {name}: {difference:.1e} ({worst})", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or list(RUNS))
