"""Tests of association studies."""
