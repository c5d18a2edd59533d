"""The systems that the benchmarks compare, each run in a process and an environment of its own."""
