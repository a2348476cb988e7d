"""Genotype files, and what is read from them. Knows nothing of privacy."""
