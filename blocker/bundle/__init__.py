"""Signed bundles: all lists as one file that a node takes from a publisher whose keys it knows, or not at all.

key, signature and secret read and write what minisign does; archive and manifest say what a bundle is; trust
decides; store, install and current are the shells around them.
"""
