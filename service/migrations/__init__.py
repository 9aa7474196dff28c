"""The history of the schema, run by ``service.migrate``."""
