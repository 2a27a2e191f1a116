"""Real runs, and what can befall them."""
