"""Plans into exact cells."""
