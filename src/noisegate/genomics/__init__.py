"""Way 2: a genotype store becomes a release, through the gate."""
