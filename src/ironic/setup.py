# SPDX-License-Identifier: GPL-3.0-or-later
"""pip install ./src/ironic; the entry points are in a file, which make install takes too."""
from pathlib import Path

from setuptools import setup

setup(entry_points=(Path(__file__).resolve().parent / "entry_points.txt").read_text("utf-8"))
