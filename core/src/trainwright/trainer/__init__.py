"""The binding to TRL: the table of methods, the generated trainer, and TRL's private names in one module."""
