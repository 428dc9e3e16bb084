"""Where outcomes go: metrics and logs. Nothing here may influence an answer."""
