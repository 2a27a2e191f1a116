"""Speed and quality against others; each prints what the README quotes."""
