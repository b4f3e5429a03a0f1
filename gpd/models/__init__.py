"""Base models: where they come from, how their networks are called, how they are stored."""
