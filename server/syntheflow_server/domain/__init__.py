"""Plain typed objects that all rooms speak of; imports nothing of the project."""
