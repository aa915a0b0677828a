"""The report: read work dirs, compare runs over seeds, write one self-contained HTML file or a PNG figure."""
