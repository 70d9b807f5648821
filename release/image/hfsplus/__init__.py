"""HFS+ volumes, written and read. The format is Apple's Technical Note TN1150, "HFS Plus Volume Format"."""
