"""Tests of the command line and of what it opens in-process."""
