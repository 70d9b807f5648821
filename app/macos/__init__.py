"""The part of the app that is macOS: AppKit, WebKit and Sparkle carry out what app/shell/ decides.

Classes that Objective-C sees are called AFC…: it has one name space for all classes of a process.
"""
