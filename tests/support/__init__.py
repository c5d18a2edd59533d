"""What the tests of several rooms share: a real server, the CLI, and reading streams."""
