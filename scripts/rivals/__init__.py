"""Other table synthesisers: their environments, how they see flows, and the table of their scores."""
