"""Response policy zones: our policy for other resolvers, and other people's zones for us."""
