"""Prefect flows: when and where `dvc repro` runs. They never touch tensors."""
