"""Ways into a pipeline that is running."""
