"""Tests of the attacks, and the panels they are tried on."""
