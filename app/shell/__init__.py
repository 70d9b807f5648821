"""The Mac app around the server: what its menu, window and notifications do, decided without a Mac.

Two processes, both of the same executable. The shell has the menu bar and the window and is the one that
macOS starts; it starts the other, `serve --linked`, the server that `python -m app serve` runs anywhere. A
server that hangs or crashes leaves the menu alive to say so, and one at work does not stall the window.

link      the messages between them: a line of JSON each, on the server's standard input and output
native    the server's end of it: what the pages may ask of the Mac
linked    that end put on the server's own standard input and output
child     the shell's end of it: start, watch and end the server's process
events    what can happen, what can be done about it, and the state between
machine   what to do when something happens: a state, an event, a new state and effects; nothing is done here
conductor hands what is to be done to the child and to the Mac
menu      the menus, as values
notices   which notifications are worth one
pages     what the window shows, and where its links lead
place     whether the app lies where it can stay

app/macos/ carries the effects out with AppKit, and nothing else.
"""
