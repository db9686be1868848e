"""What the Python examples of a page find around them, and what holds when they have run.

    python -m docs.prepared PAGE FILE

runs the examples of a page, which are the lines of a file.
"""
