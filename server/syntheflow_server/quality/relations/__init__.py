"""Metrics of related tables: do keys, child counts and aggregates hold."""
