"""Tests of the trusted core, and the helpers they share."""
