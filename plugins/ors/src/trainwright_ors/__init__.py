"""Environments of the Open Reward Standard for every trainer that takes an environment."""
