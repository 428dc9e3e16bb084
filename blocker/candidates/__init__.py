"""Names that look like a banned app's and are in no list yet: found in what clients ask, told with why."""
