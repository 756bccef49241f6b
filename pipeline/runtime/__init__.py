"""The loop that joins the parts: threads, queues, streams, and the report of a run."""
