"""Alarms on rows that repeat what the model learned from."""
