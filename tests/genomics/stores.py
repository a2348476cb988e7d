"""Real panels, programs to compare with, and stores to write, which lie with the tests of `genotypes`."""

import importlib.util
import sys
from pathlib import Path

NAME = "genotypes_panels"

if NAME not in sys.modules:
    spec = importlib.util.spec_from_file_location(NAME, Path(__file__).parents[1] / "genotypes" / "panels.py")
    sys.modules[NAME] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[NAME])
stores = sys.modules[NAME]
