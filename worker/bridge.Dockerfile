# The bridge to Cursor's SDK as a container beside the Worker: Bun and one built file, nothing else.
# Build `build/bridge.js` first: ./invoke bridge.build
FROM oven/bun:1.4.5-distroless
COPY build/bridge.js /bridge.js
ENV HOME=/tmp PATH=""
EXPOSE 8792
ENTRYPOINT ["/usr/local/bin/bun", "/bridge.js"]
