"""Readers of query logs: one file per format, each pure and bounded; a bad line is counted and shown, never fatal."""
