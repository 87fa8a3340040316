"""Every interleaving of small scenarios, on the compiled code itself. `make schedules`; see docs/TESTING.md."""
