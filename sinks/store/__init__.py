"""Events kept in SQLite or Parquet, and questions to them."""
