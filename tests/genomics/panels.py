"""The genotypes that attacks are tried on, which lie with the tests of `leakage`."""

import importlib.util
import sys
from pathlib import Path

NAME = "leakage_panels"

if NAME not in sys.modules:
    spec = importlib.util.spec_from_file_location(NAME, Path(__file__).parents[1] / "leakage" / "panels.py")
    sys.modules[NAME] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[NAME])
panels = sys.modules[NAME]
