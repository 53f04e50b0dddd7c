"""Biflows to captures: what each packet does in a conversation, and its bytes."""
