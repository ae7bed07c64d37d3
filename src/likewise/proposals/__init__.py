"""Proposals: masks of whatever might be a thing, without classes, from several sources behind one interface."""
