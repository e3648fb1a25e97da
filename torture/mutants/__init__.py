"""Does the suite notice a bug? Small changes to the code that holds money, one at a time: docs/mutants.md."""
