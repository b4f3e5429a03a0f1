"""A student as others load it: pipelines, LoRA files, single files, the card that goes with them."""
