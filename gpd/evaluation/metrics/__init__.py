"""What is measured on samples, paired with the guided teacher on the same prompt and noise. No learned weights."""
