"""The package compiled with each sanitizer, and programs that put it under stress; see docs/sanitizers.md."""
