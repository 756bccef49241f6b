"""A page that shows what a store holds."""
