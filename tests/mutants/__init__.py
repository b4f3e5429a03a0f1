"""Small errors written into the code on purpose: does a test fail for each? Figures in docs/robustness.md."""
