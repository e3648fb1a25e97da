"""The trials, a module each; ``torture.plan`` lists them."""
