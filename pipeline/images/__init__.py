"""Single images: read within limits, turned upright, letterboxed, gathered in batches."""
