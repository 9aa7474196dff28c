"""Where state lives, built from ``storage`` of the configuration: stores, the schema and whose the database is."""
