"""Converts biflows to captures: assigns each packet its role in a conversation, and encodes its bytes."""
