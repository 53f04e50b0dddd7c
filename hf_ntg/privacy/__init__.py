"""Differential privacy: budgets and their accounting, secret noise, units of privacy, and words fixed beforehand."""
