"""Migrations of the metadata store, run at every start."""
