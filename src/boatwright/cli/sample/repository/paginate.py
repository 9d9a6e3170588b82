"""Cut a list into pages, numbered from 1."""

from __future__ import annotations


def pages(items, size):
    """How many pages of ``size`` items there are."""
    if size < 1:
        raise ValueError("a page holds at least one item")
    return len(items) // size


def page(items, number, size):
    """The items on page ``number``; IndexError where there is no such page."""
    if not 1 <= number <= pages(items, size):
        raise IndexError(f"there is no page {number}")
    start = (number - 1) * size
    return items[start:start + size]
