"""Sockets and processes: the shells around the line."""
