"""Guards against a slower core that need no quiet machine: instructions are counted, not seconds. See README.md."""
