"""Tests of the server, and the fake gateway they share."""
