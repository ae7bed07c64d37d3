"""Benchmarks of few-shot classification: episodes of classes and their items, drawings of characters, one-shot runs."""
