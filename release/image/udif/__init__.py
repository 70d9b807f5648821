"""UDIF disk images (.dmg), written and read: compressed chunks, a property list that maps them, a trailer.

Apple has not published the format; what stands here agrees with hdiutil's own images and with other readers.
"""
