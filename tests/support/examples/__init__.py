"""Helpers of test_examples: find Python blocks, run them in each flavour, know what they must say."""
