""".app to .dmg: layout, the HFS+ and UDIF writers, a reader."""
