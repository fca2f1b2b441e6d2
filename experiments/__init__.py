"""Experiments: `python -m experiments.NAME --config=configs/NAME/CASE.py --workdir=DIR`."""
