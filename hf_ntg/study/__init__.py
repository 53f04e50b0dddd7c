"""Studies: generators compared over flow tables, splits and seeds."""
