"""Families of chat templates: what is known beforehand of templates that many models share.

A family is one object, registered as an entry point of the group `trainwright_template_families`. Ours are registered
so, and another package's count as much:

    [project.entry-points."trainwright_template_families"]
    house = "my_package:HOUSE"      # HOUSE = Family(name="house", …)
"""

from __future__ import annotations

from trainwright_templates.families.family import Family
from trainwright_templates.families.registry import families, recognise

__all__ = ["Family", "families", "recognise"]
