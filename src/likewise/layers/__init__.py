"""Modules and rules that several published methods share."""
