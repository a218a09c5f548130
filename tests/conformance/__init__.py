"""What the stack declares, on the engine that Athena is made of: `make conformance` (docs/conformance.md)."""
