"""Lists that others publish: fetched, judged, kept on disk; `lists/` reads and compiles them."""
