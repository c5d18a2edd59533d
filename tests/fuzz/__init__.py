"""Damaged and hostile files against every reader: tables or an error that says why."""
