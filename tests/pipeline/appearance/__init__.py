"""Tests of pipeline.appearance."""
