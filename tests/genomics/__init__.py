"""Tests of releases of genomes."""
