"""Builds one self-contained HTML page: everything inline, nothing fetched, light and dark."""
