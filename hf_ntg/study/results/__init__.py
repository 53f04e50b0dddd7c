"""What a study found: scores over seeds, tables, plots, and the report."""
