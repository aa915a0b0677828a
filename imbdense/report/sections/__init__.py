"""Sections of the report: each module turns a Story into the HTML of one section ('' when there is nothing to show)."""
