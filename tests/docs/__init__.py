"""The documentation is run, and held against what the code says of itself."""
