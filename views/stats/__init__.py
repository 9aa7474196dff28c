"""Viewer statistics: how each viewer's stay becomes a row, and what the rows say."""
