"""Reads and writes DNS messages; knows neither sockets nor policy (RFC 1035, RFC 6891)."""
