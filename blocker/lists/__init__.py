"""Lists of names and addresses: from the text a person writes to the index a query is looked up in."""
