"""What would a change of lists do, what do the lists cover, what do they miss? Asked of logs, never of live traffic."""
