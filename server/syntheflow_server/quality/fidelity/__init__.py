"""Metrics of single tables, row by row: do synthetic rows look like real ones."""
