"""Code signing, notarization and Sparkle signatures as a library."""
