"""The history of the schema, run by ``service.storage.migrate``."""
