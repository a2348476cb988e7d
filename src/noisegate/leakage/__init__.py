"""Attacks on what was released: how well they do, with intervals, and what that says of ε at the least."""
