"""What a study found: scores over seeds, tables, figures, and the report."""
