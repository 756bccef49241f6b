"""Events kept in SQLite or Parquet, and questions to them.

ages             How old the events of a store are, by a clock that nobody sets
check            Whether a file is a store of events that this program can write to
event_store      What every store of events does alike: a thread that writes in batches
exports          Events of a store as files for other programs: CSV, Parquet, JSON Lines
parquet_file     Events as Parquet files, for programs that read columns: pandas, Polars, DuckDB
parquet_journal  The journal of a store of Parquet files
parquet_store    Events kept as Parquet files in a folder, run after run. See docs/store.md
queries          Reading a store of events: SQL queries, and whole events in order
schema           What a store of events looks like inside
sqlite_store     Events kept in an SQLite file, run after run, for queries and reports
sqlite_writer    The connection that writes a store of events
"""
