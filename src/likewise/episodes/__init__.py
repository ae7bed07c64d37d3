"""Benchmarks made of episodes: lists, samplers, items, metrics."""
