"""The HTTP side: metrics, health and a small index page."""
