"""Benchmarks against peers and limits. `python -m bench ask [--quick] [--json]`; bench/README.md says how."""
