"""A coverage-guided fuzzer over sequences of operations: the compiled core beside plain models. See docs/fuzzing.md."""
