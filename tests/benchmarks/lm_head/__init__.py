"""What `head.py` is made of: the cells, the rows, how they are measured, the goals, and how all of it is shown."""
