"""Exceptions that people ask for, approve and revoke, and that end by themselves."""
