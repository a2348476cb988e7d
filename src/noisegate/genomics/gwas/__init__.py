"""Association studies on a genotype store, out of core: for custodians, on data that never leaves.

What is computed here is exact and carries no guarantee of privacy: nothing of it may be given to analysts.
"""
