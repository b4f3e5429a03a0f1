"""Guided Progressive Distillation (arXiv 2602.01814) of Wan2.1; rooms and data path: ARCHITECTURE.md."""
