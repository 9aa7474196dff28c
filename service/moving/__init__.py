"""Everything from one database into another: ``fediviews migrate``."""
