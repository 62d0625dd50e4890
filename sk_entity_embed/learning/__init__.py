"""Arrays to vectors. torch lives here and nowhere else, and is imported inside ``fit`` only."""
