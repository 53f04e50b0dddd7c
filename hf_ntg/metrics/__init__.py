"""How good a set of flows is: each metric beside real held-out flows and baselines."""
