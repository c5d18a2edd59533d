"""What operators see: Prometheus metrics and structured logs, never a private value."""
