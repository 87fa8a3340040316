"""The core's labelled pairs under ARM's memory model, exhaustively. `make weak`; see docs/weak-memory.md."""
