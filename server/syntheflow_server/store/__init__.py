"""What the server keeps: documents (metadata) and blobs (tables, models, reports)."""
