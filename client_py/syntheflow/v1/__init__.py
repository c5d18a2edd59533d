"""Code generated from proto/syntheflow/v1 by `make proto`; never edited."""
