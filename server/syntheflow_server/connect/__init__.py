"""Places outside: databases, object stores and folders, who may reach them, and how they open."""
