"""Networks, their weights, and what runs them."""
