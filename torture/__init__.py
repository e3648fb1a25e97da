"""What we claim, tried until it breaks: `make torture` and `make torture-long`. See docs/torture.md."""
