"""Where viewers are: GeoIP databases, kept fresh, and what is read out of them. No address is kept."""
