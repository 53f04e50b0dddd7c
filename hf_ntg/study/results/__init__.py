"""Results of a study: scores over seeds, tables, plots, and the report."""
