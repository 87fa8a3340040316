"""The benchmarks: `pytest bench`. See README.md."""
