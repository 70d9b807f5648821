"""The part of the app that is macOS: AppKit, WebKit and Sparkle carry out what app/shell/ decides."""
