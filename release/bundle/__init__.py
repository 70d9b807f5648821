"""Source to .app: py2app, embedding, icon, audit."""
